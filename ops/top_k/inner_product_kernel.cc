// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

#include "ops/common/thread_pool.h"
#include "ops/top_k/inner_product.h"
#include "ops/top_k/shadow.h"

namespace realm {
namespace {

using ::tensorflow::bfloat16;
using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

template <typename... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckShapes(const Tensor& queries, const Tensor& table,
                         const Tensor& banned, const Tensor& k) {
  const TensorShape &q = queries.shape(), &t = table.shape(),
                    &b = banned.shape();
  if (q.dims() != 2 || t.dims() != 2 || q.dim_size(1) != t.dim_size(1)) {
    return InvalidArgument(
        "queries must be [B, D] and table [N, D] with the same D, but they are ",
        q.DebugString(), " and ", t.DebugString());
  }
  if (b.dims() != 2 || b.dim_size(0) != q.dim_size(0)) {
    return InvalidArgument("banned_rows must be [B, R] with B = ",
                           q.dim_size(0), ", as queries are ", q.DebugString(),
                           ", but they are ", b.DebugString());
  }
  if (t.dim_size(0) > std::numeric_limits<int32_t>::max()) {
    return InvalidArgument("table has ", t.dim_size(0),
                           " rows, more than int32 can number");
  }
  if (k.dims() != 0) {
    return InvalidArgument("k must be a scalar, but its shape is ",
                           k.shape().DebugString());
  }
  return absl::OkStatus();
}

absl::Status CheckK(int64_t k, int64_t rows, int64_t batch,
                    const BannedRows& banned) {
  if (k < 0) return InvalidArgument("k must not be negative, but is ", k);
  if (k > rows) {
    return InvalidArgument("k = ", k, " is more than the ", rows,
                           " rows of the table");
  }
  for (int64_t q = 0; q < batch; ++q) {
    if (k > rows - banned.Count(q)) {
      return InvalidArgument("k = ", k, " is more than the ",
                             rows - banned.Count(q), " rows left to query ", q,
                             ": the table has ", rows, ", of which ",
                             banned.Count(q), " are banned");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckShadow(const Tensor& table, const Tensor& codes,
                         const Tensor& bounds) {
  const int64_t rows = table.dim_size(0);
  const TensorShape wanted({rows, ShadowStride(table.dim_size(1))});
  if (codes.dims() == 2 && codes.dim_size(0) == 0) return absl::OkStatus();
  if (codes.shape() == wanted && bounds.shape() == TensorShape({2, rows})) {
    return absl::OkStatus();
  }
  return InvalidArgument("the shadow of a table ", table.shape().DebugString(),
                         " is codes ", wanted.DebugString(), " and bounds [2,",
                         rows, "], but they are ", codes.shape().DebugString(),
                         " and ", bounds.shape().DebugString());
}

Element ElementOf(const Tensor& table) {
  return table.dtype() == tensorflow::DT_FLOAT ? Element::kFloat32
                                               : Element::kBfloat16;
}

BannedRows ReadBanned(const Tensor& banned, int64_t rows) {
  const int64_t batch = banned.dim_size(0), width = banned.dim_size(1);
  if (banned.dtype() == tensorflow::DT_INT32) {
    return BannedRows::From(banned.flat<int32_t>().data(), batch, width, rows);
  }
  return BannedRows::From(banned.flat<int64_t>().data(), batch, width, rows);
}

// bfloat16 queries are few, so they are simply widened.
std::vector<float> Widened(const Tensor& queries) {
  const auto in = queries.flat<bfloat16>();
  return std::vector<float>(in.data(), in.data() + in.size());
}

}  // namespace

class TopKInnerProductOp : public OpKernel {
 public:
  explicit TopKInnerProductOp(OpKernelConstruction* c) : OpKernel(c) {}

  void Compute(OpKernelContext* c) override {
    const Tensor& queries = c->input(0);
    const Tensor& table = c->input(1);
    OP_REQUIRES_OK(c, CheckShapes(queries, table, c->input(2), c->input(3)));
    const bool shadowed = num_inputs() == 6;
    if (shadowed) OP_REQUIRES_OK(c, CheckShadow(table, c->input(4), c->input(5)));
    const int64_t batch = queries.dim_size(0);
    const int64_t rows = table.dim_size(0);
    const int64_t k = c->input(3).scalar<int32_t>()();
    const BannedRows banned = ReadBanned(c->input(2), rows);
    OP_REQUIRES_OK(c, CheckK(k, rows, batch, banned));
    std::string problem;
    const Kernel* kernel = ChosenKernel(&problem);
    OP_REQUIRES(c, kernel != nullptr, InvalidArgument(problem));

    Tensor *scores, *best;
    OP_REQUIRES_OK(c, c->allocate_output(0, {batch, k}, &scores));
    OP_REQUIRES_OK(c, c->allocate_output(1, {batch, k}, &best));

    std::vector<float> widened;
    if (queries.dtype() == tensorflow::DT_BFLOAT16) widened = Widened(queries);
    TopKInput input = {
        widened.empty() && queries.dtype() == tensorflow::DT_FLOAT
            ? queries.flat<float>().data()
            : widened.data(),
        table.data(),
        ElementOf(table),
        batch,
        rows,
        table.dim_size(1),
        k,
        &banned};
    if (shadowed && c->input(4).dim_size(0) > 0) {
      input.codes = c->input(4).flat<int8_t>().data();
      input.bounds = c->input(5).flat<float>().data();
    }
    const std::optional<NotANumber> nan = TopKInnerProduct(
        input, *kernel, OnPool(c), PoolOf(c)->NumThreads(),
        scores->flat<float>().data(), best->flat<int32_t>().data());
    OP_REQUIRES(c, !nan,
                InvalidArgument("the dot product of query ", nan->query,
                                " and row ", nan->row,
                                " of the table is not a number"));
  }
};

class ShadowTableOp : public OpKernel {
 public:
  explicit ShadowTableOp(OpKernelConstruction* c) : OpKernel(c) {}

  void Compute(OpKernelContext* c) override {
    const Tensor& table = c->input(0);
    OP_REQUIRES(c, table.dims() == 2,
                InvalidArgument("table must be [N, D], but it is ",
                                table.shape().DebugString()));
    const int64_t rows = table.dim_size(0), depth = table.dim_size(1);
    Tensor *codes, *bounds;
    OP_REQUIRES_OK(c, c->allocate_output(0, {rows, ShadowStride(depth)}, &codes));
    OP_REQUIRES_OK(c, c->allocate_output(1, {2, rows}, &bounds));
    MakeShadow(table.data(), ElementOf(table), rows, depth, OnPool(c),
               codes->flat<int8_t>().data(), bounds->flat<float>().data());
  }
};

REGISTER_KERNEL_BUILDER(
    Name("Realm>TopKInnerProduct").Device(tensorflow::DEVICE_CPU),
    TopKInnerProductOp);
REGISTER_KERNEL_BUILDER(
    Name("Realm>ShadowedTopKInnerProduct").Device(tensorflow::DEVICE_CPU),
    TopKInnerProductOp);
REGISTER_KERNEL_BUILDER(
    Name("Realm>ShadowTable").Device(tensorflow::DEVICE_CPU), ShadowTableOp);

}  // namespace realm
