// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

#include "ops/top_k/shadow.h"

namespace realm {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

absl::Status TopKShape(InferenceContext* c) {
  ShapeHandle queries, table, banned, k;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &queries));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &table));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 2, &banned));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(3), 0, &k));

  DimensionHandle depth, batch, best;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(queries, 1), c->Dim(table, 1), &depth));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(queries, 0), c->Dim(banned, 0), &batch));
  TF_RETURN_IF_ERROR(c->MakeDimForScalarInput(3, &best));
  c->set_output(0, c->Matrix(batch, best));
  c->set_output(1, c->Matrix(batch, best));
  return absl::OkStatus();
}

absl::Status ShadowedTopKShape(InferenceContext* c) {
  ShapeHandle codes, bounds;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(4), 2, &codes));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(5), 2, &bounds));
  return TopKShape(c);
}

absl::Status ShadowShape(InferenceContext* c) {
  ShapeHandle table;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &table));
  DimensionHandle stride = c->UnknownDim();
  if (c->ValueKnown(c->Dim(table, 1))) {
    stride = c->MakeDim(ShadowStride(c->Value(c->Dim(table, 1))));
  }
  c->set_output(0, c->Matrix(c->Dim(table, 0), stride));
  c->set_output(1, c->Matrix(2, c->Dim(table, 0)));
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("Realm>TopKInnerProduct")
    .Input("queries: query_type")
    .Input("table: table_type")
    .Input("banned_rows: row_type")
    .Input("k: int32")
    .Output("scores: float")
    .Output("rows: int32")
    .Attr("query_type: {float, bfloat16}")
    .Attr("table_type: {float, bfloat16}")
    .Attr("row_type: {int32, int64} = DT_INT32")
    .SetShapeFn(TopKShape)
    .Doc(R"doc(
Finds, for each query, the k rows of a table with the largest dot products.

The search is exact. A score is the dot product of the stored values, summed in
double precision and rounded once to float32; rows come in descending order of
score and, where scores are equal, in ascending order of row. The result is the
same, to the bit, on every CPU, with any number of threads.

The [B, N] matrix of all scores is never made: memory is O(B k) for each thread.
The table is read where it lies, and is never copied. The op keeps no state and
may run from many threads at once. It has no gradient.

queries: [B, D].
table: [N, D], N at most 2^31 - 1.
banned_rows: [B, R]: rows that the query must not get. Numbers outside [0, N)
  ban nothing; -1 is the customary filler. Repetitions are harmless. R may be 0.
k: How many rows to find for each query: at least 0, and at most N less the
  rows that are banned for that query.
scores: [B, k], descending.
rows: [B, k], the rows of the table that have those scores.

InvalidArgument if shapes do not fit, if k is out of its range, or if any dot
product is not a number.
)doc");

REGISTER_OP("Realm>ShadowTable")
    .Input("table: table_type")
    .Output("codes: int8")
    .Output("bounds: float")
    .Attr("table_type: {float, bfloat16}")
    .SetShapeFn(ShadowShape)
    .Doc(R"doc(
Makes the shadow of a table: its rows in eight bits, and how far off they may be.

table: [N, D].
codes: [N, P], P the next multiple of 32: row r is about bounds[0, r] * codes[r].
bounds: [2, N]: scales, and bounds on the norm of what the codes lose.
)doc");

REGISTER_OP("Realm>ShadowedTopKInnerProduct")
    .Input("queries: query_type")
    .Input("table: table_type")
    .Input("banned_rows: row_type")
    .Input("k: int32")
    .Input("codes: int8")
    .Input("bounds: float")
    .Output("scores: float")
    .Output("rows: int32")
    .Attr("query_type: {float, bfloat16}")
    .Attr("table_type: {float, bfloat16}")
    .Attr("row_type: {int32, int64} = DT_INT32")
    .SetShapeFn(ShadowedTopKShape)
    .Doc(R"doc(
Realm>TopKInnerProduct, with the table's shadow to answer few queries sooner.

The answer is the same. Up to four queries scan the shadow, and look at the table
only where the shadow does not decide; more of them do not look at the shadow.

codes: [N, P] by Realm>ShadowTable of this very table: that of another table
  makes wrong answers. [0, P] if there is none.
bounds: [2, N], with them.
)doc");

}  // namespace realm
