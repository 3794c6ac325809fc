// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace realm {
namespace {

using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

absl::Status StatesShape(InferenceContext* c) {
  ShapeHandle ids, words, states;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &ids));
  for (int i : {1, 2}) TF_RETURN_IF_ERROR(c->Merge(ids, c->input(i), &ids));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(3), 2, &words));
  TF_RETURN_IF_ERROR(c->Concatenate(ids, c->Vector(c->Dim(words, 1)), &states));
  c->set_output(0, states);
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("Realm>Bert")
    .Input("ids: int32")
    .Input("mask: bool")
    .Input("segments: int32")
    .Input("embeddings: num_embeddings * float")
    .Input("embedding_norm: num_norms * float")
    .Input("kernels: num_kernels * T")
    .Input("scales: num_scales * float")
    .Input("vectors: num_vectors * float")
    .Output("states: float")
    .Attr("heads: int >= 1")
    .Attr("activation: {'gelu', 'gelu_tanh', 'relu'}")
    .Attr("epsilon: float")
    .Attr("T: {float, int8}")
    .Attr("num_embeddings: int >= 1")
    .Attr("num_norms: int >= 1")
    .Attr("num_kernels: int >= 1")
    .Attr("num_scales: int >= 0")
    .Attr("num_vectors: int >= 1")
    .SetShapeFn(StatesShape)
    .Doc(R"doc(
The states of a BERT (Devlin et al. 2019) of L layers, without a gradient.

Kernels [K, M] are packed in panels of 16 columns: [L, ceil(M / 16), K, 16] float, or int8
[L, ceil(M / 16), ceil(K / 2), 16, 2], two rows side by side, with zeros beyond K and M.
Of int8, a kernel is the packed one times the scale of each of its columns, and rows are
rounded to at most 16 bits, each with a scale of its own; sums of products are exact.

ids, segments: [B, T].
mask: [B, T], false on padding.
embeddings: three, [.., H], of words, positions and segments.
embedding_norm: two, [H], gamma and beta.
kernels: four, of queries, keys and values [H, 3 H], of attention's output [H, H], and of the
  feed-forward layer [H, F] and [F, H].
scales: four, [L, 16 ceil(M / 16)], of kernels of int8; none of float.
vectors: eight, bias [L, 3 H] of queries, keys and values; bias, gamma and beta [L, H] of
  attention's output; bias [L, F]; bias, gamma and beta [L, H] of the layer's output.
states: [B, T, H], 0 on padding.
)doc");

}  // namespace realm
