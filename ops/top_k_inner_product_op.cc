// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

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

}  // namespace realm
