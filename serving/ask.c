// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Asks an export without Python: loads its SavedModel through TensorFlow's C API, as a server
// would, finds the signature `serving_default` in it, and prints a line for each question:
// answer, probability, title, and where the answer stands in its passage, in characters.
//
//   build/ask [--library=OPS.so]... EXPORT/VERSION QUESTION...
//
// `make build/ask` compiles it. `portable` exports need TF Text's libraries, `native` ones ours
// too (realm_tf/_realm_ops.so); tests/serving/test_without_python.py names them.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

enum { kOutputs = 5, kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// What is printed of each question.
static const char* const kOutputNames[kOutputs] = {"answer", "probability", "title", "start",
                                                   "end"};

// Numbers of fields, from meta_graph.proto.
enum { kSignatureDef = 5, kInputs = 1, kOutputsField = 2, kTensorName = 1 };

static void fail(const char* what, const char* why) {
  fprintf(stderr, "ask: %s: %s\n", what, why);
  exit(2);
}

static void check(TF_Status* status, const char* what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

// A message of Protocol Buffers, or a part of it: [at, end).
typedef struct {
  const unsigned char* at;
  const unsigned char* end;
} Bytes;

static uint64_t varint(Bytes* from) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (from->at == from->end) fail("saved_model.pb", "ends within a number");
    const unsigned char byte = *from->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("saved_model.pb", "holds a number of more than 64 bits");
  return 0;
}

static Bytes take(Bytes* from, uint64_t size) {
  if (size > (uint64_t)(from->end - from->at)) fail("saved_model.pb", "ends within a field");
  const Bytes taken = {from->at, from->at + size};
  from->at += size;
  return taken;
}

// Takes the next field of a message; its value, if it is one of bytes. 0 at the end.
static uint64_t next_field(Bytes* message, Bytes* value) {
  if (message->at == message->end) return 0;
  const uint64_t tag = varint(message);
  *value = (Bytes){NULL, NULL};
  switch (tag & 7) {
    case kVarint: varint(message); break;
    case kFixed64: take(message, 8); break;
    case kBytes: *value = take(message, varint(message)); break;
    case kFixed32: take(message, 4); break;
    default: fail("saved_model.pb", "is no message of Protocol Buffers");
  }
  return tag >> 3;
}

// The first field of this number; for maps, whose key is `key`, the value of that.
static int find(Bytes message, uint64_t number, const char* key, Bytes* value) {
  for (uint64_t found; (found = next_field(&message, value)) != 0;) {
    if (found != number) continue;
    if (key == NULL) return 1;
    const Bytes entry = *value;
    Bytes name;
    if (find(entry, 1, NULL, &name) && (size_t)(name.end - name.at) == strlen(key) &&
        memcmp(name.at, key, strlen(key)) == 0 && find(entry, 2, NULL, value)) {
      return 1;
    }
  }
  return 0;
}

// The tensor that a signature calls `key`: "operation:index" in its TensorInfo.
static TF_Output tensor_of(TF_Graph* graph, Bytes signature, uint64_t field, const char* key) {
  Bytes info, text;
  if (!find(signature, field, key, &info) || !find(info, kTensorName, NULL, &text)) {
    fail(key, "the signature serving_default has no such tensor");
  }
  char name[512];
  const size_t size = (size_t)(text.end - text.at);
  if (size >= sizeof(name)) fail(key, "its name is too long");
  memcpy(name, text.at, size);
  name[size] = '\0';
  char* colon = strrchr(name, ':');
  const int index = colon == NULL ? 0 : atoi(colon + 1);
  if (colon != NULL) *colon = '\0';
  const TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (output.oper == NULL) fail(name, "the graph has no such operation");
  return output;
}

static TF_Tensor* strings(char* const* texts, int count) {
  const int64_t shape[] = {count};
  TF_Tensor* tensor =
      TF_AllocateTensor(TF_STRING, shape, 1, (size_t)count * sizeof(TF_TString));
  TF_TString* values = TF_TensorData(tensor);
  for (int i = 0; i < count; ++i) {
    TF_StringInit(&values[i]);
    TF_StringCopy(&values[i], texts[i], strlen(texts[i]));
  }
  return tensor;
}

static void print_value(const TF_Tensor* tensor, int i) {
  const void* data = TF_TensorData(tensor);
  if (TF_TensorType(tensor) == TF_STRING) {
    const TF_TString* text = (const TF_TString*)data + i;
    fwrite(TF_StringGetDataPointer(text), 1, TF_StringGetSize(text), stdout);
  } else if (TF_TensorType(tensor) == TF_FLOAT) {
    printf("%.6f", ((const float*)data)[i]);
  } else {
    printf("%d", (int)((const int32_t*)data)[i]);
  }
}

static void ask(TF_Session* session, TF_Graph* graph, Bytes signature, char* const* questions,
                int count) {
  const TF_Output input = tensor_of(graph, signature, kInputs, "questions");
  TF_Output outputs[kOutputs];
  for (int i = 0; i < kOutputs; ++i) {
    outputs[i] = tensor_of(graph, signature, kOutputsField, kOutputNames[i]);
  }
  TF_Tensor* asked = strings(questions, count);
  TF_Tensor* found[kOutputs] = {NULL};
  TF_Status* status = TF_NewStatus();
  TF_SessionRun(session, NULL, &input, &asked, 1, outputs, found, kOutputs, NULL, 0, NULL,
                status);
  check(status, "the questions");
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < kOutputs; ++j) {
      print_value(found[j], i);
      putchar(j + 1 < kOutputs ? '\t' : '\n');
    }
  }
  for (int j = 0; j < kOutputs; ++j) TF_DeleteTensor(found[j]);
  TF_DeleteTensor(asked);
  TF_DeleteStatus(status);
}

int main(int argc, char** argv) {
  static const char kLibrary[] = "--library=";
  TF_Status* status = TF_NewStatus();
  int first = 1;
  for (; first < argc && strncmp(argv[first], kLibrary, strlen(kLibrary)) == 0; ++first) {
    TF_LoadLibrary(argv[first] + strlen(kLibrary), status);
    check(status, argv[first]);
  }
  if (argc - first < 2) fail("usage", "ask [--library=OPS.so]... EXPORT/VERSION QUESTION...");

  const char* const tags[] = {"serve"};
  TF_Graph* graph = TF_NewGraph();
  TF_Buffer* meta_graph = TF_NewBuffer();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[first], tags, 1,
                                                     graph, meta_graph, status);
  check(status, argv[first]);
  const unsigned char* data = meta_graph->data;
  Bytes signature;
  if (!find((Bytes){data, data + meta_graph->length}, kSignatureDef, "serving_default",
            &signature)) {
    fail(argv[first], "has no signature serving_default");
  }
  ask(session, graph, signature, argv + first + 1, argc - first - 1);

  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
