// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Exact maximum inner product search on a GPU. Knows nothing of TensorFlow. How and why:
// scan.h and choose.h; which is how the answer is that of the op for CPUs, to the bit.

#ifndef REALM_OPS_TOP_K_GPU_SEARCH_H_
#define REALM_OPS_TOP_K_GPU_SEARCH_H_

#include <cstddef>
#include <cstdint>

namespace realm::gpu {

struct Device {
  int processors;
  size_t shared_bytes;  // that a block may have
};

struct Search {
  const float* queries;  // [batch, depth]
  const void* table;     // [rows, depth] float32 or bfloat16
  bool is_bfloat16;
  int64_t batch, rows, depth;
  int64_t width;    // W, at most `rows`
  float* scores;    // [batch, width], descending, equals by row
  int32_t* best;    // [batch, width]: their rows
  int32_t* problem;  // [1]: not 0 if the answer is not to be used
};

// What `Start` needs for itself; 0 if it cannot search such a table.
size_t WorkspaceBytes(const Search& search, const Device& device);

// Begins a search; all pointers are of the device, `workspace` aligned to 256 bytes.
// `stream` is a cudaStream_t. Returns a cudaError_t.
int Start(const Search& search, const Device& device, void* workspace, void* stream);

// Says that there is a problem, and no more.
int Refuse(const Search& search, void* stream);

// Of the current device. Returns a cudaError_t.
int Describe(Device* device);

const char* MessageOf(int error);

}  // namespace realm::gpu

#endif  // REALM_OPS_TOP_K_GPU_SEARCH_H_
