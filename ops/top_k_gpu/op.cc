// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor.h"
#include "xla/stream_executor/stream.h"

#include "ops/top_k_gpu/search.h"

namespace realm {
namespace {

using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

absl::Status SearchShape(InferenceContext* c) {
  ShapeHandle queries, table, width;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &queries));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &table));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 0, &width));
  DimensionHandle depth, best;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(queries, 1), c->Dim(table, 1), &depth));
  TF_RETURN_IF_ERROR(c->MakeDimForScalarInput(2, &best));
  c->set_output(0, c->Matrix(c->Dim(queries, 0), best));
  c->set_output(1, c->Matrix(c->Dim(queries, 0), best));
  c->set_output(2, c->Scalar());
  return absl::OkStatus();
}

absl::Status OfCuda(int error) {
  if (error == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the search on the GPU failed: ",
                                          gpu::MessageOf(error)));
}

class TopKOnGpuOp : public OpKernel {
 public:
  explicit TopKOnGpuOp(OpKernelConstruction* c) : OpKernel(c) {}

  void Compute(OpKernelContext* c) override {
    const Tensor &queries = c->input(0), &table = c->input(1);
    OP_REQUIRES(c,
                queries.dims() == 2 && table.dims() == 2 &&
                    queries.dim_size(1) == table.dim_size(1),
                absl::InvalidArgumentError(absl::StrCat(
                    "queries must be [B, D] and table [N, D] with the same D, but they are ",
                    queries.shape().DebugString(), " and ", table.shape().DebugString())));
    const int64_t batch = queries.dim_size(0);
    const int64_t width = c->input(2).scalar<int32_t>()();
    OP_REQUIRES(c, width >= 0,
                absl::InvalidArgumentError(absl::StrCat("width is negative: ", width)));
    Tensor *scores, *best, *problem;
    OP_REQUIRES_OK(c, c->allocate_output(0, {batch, width}, &scores));
    OP_REQUIRES_OK(c, c->allocate_output(1, {batch, width}, &best));
    OP_REQUIRES_OK(c, c->allocate_output(2, {}, &problem));
    const gpu::Search search = {queries.flat<float>().data(),
                                table.data(),
                                table.dtype() == tensorflow::DT_BFLOAT16,
                                batch,
                                table.dim_size(0),
                                table.dim_size(1),
                                width,
                                scores->flat<float>().data(),
                                best->flat<int32_t>().data(),
                                problem->flat<int32_t>().data()};
    void* stream = c->op_device_context()->stream()->platform_specific_handle().stream;
    gpu::Device device;
    OP_REQUIRES_OK(c, OfCuda(gpu::Describe(&device)));
    const int64_t bytes = gpu::WorkspaceBytes(search, device);
    if (bytes == 0) {
      OP_REQUIRES_OK(c, OfCuda(gpu::Refuse(search, stream)));
      return;
    }
    Tensor workspace;
    OP_REQUIRES_OK(c, c->allocate_temp(tensorflow::DT_INT8, {bytes}, &workspace));
    OP_REQUIRES_OK(c, OfCuda(gpu::Start(search, device, workspace.data(), stream)));
  }
};

}  // namespace

REGISTER_OP("Realm>TopKOnGpu")
    .Input("queries: float")
    .Input("table: table_type")
    .Input("width: int32")
    .Output("scores: float")
    .Output("rows: int32")
    .Output("problem: int32")
    .Attr("table_type: {float, bfloat16}")
    .SetShapeFn(SearchShape)
    .Doc(R"doc(
Finds, for each query, the W rows of a table with the largest dot products, on a GPU.

The answer is that of Realm>TopKInnerProduct without bans, to the bit, if `problem` is 0.
Else it is not to be used: a score is not a number, or too many rows are too nearly alike,
or such a table, or so many rows, cannot be searched so.

queries: [B, D].
table: [N, D].
width: How many rows to find for each query.
scores: [B, W], descending.
rows: [B, W], the rows of the table that have those scores.
problem: 0 if the answer may be used.
)doc");

REGISTER_KERNEL_BUILDER(
    Name("Realm>TopKOnGpu").Device(tensorflow::DEVICE_GPU).HostMemory("width"),
    TopKOnGpuOp);

}  // namespace realm
