// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

#include "ops/common/thread_pool.h"
#include "ops/transformer/op_kernel.h"
#include "ops/transformer/transformer.h"

namespace realm {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

class SpanScoresOp : public TransformerOp {
 public:
  explicit SpanScoresOp(OpKernelConstruction* c) : TransformerOp(c, /*rank=*/3) {
    OP_REQUIRES_OK(c, c->GetAttr("spans", &spans_));
    OP_REQUIRES_OK(c, c->GetAttr("epsilon", &epsilon_));
  }

 private:
  absl::Status Run(OpKernelContext* c, const TransformerKernel& kernel) override {
    const Tensor& projected = c->input(0);
    const int64_t sequences = projected.dim_size(0), length = projected.dim_size(1);
    const int64_t width = projected.dim_size(2) / 2;
    const TensorShape of_scores({sequences, length, spans_});
    if (width == 0 || projected.dim_size(2) % 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          "projected must be [P, T, 2 F], but it is ", projected.shape().DebugString()));
    }
    TF_RETURN_IF_ERROR(Expect(c, 1, TensorShape({sequences, length})));
    TF_RETURN_IF_ERROR(Expect(c, 2, TensorShape({width})));
    TF_RETURN_IF_ERROR(Expect(c, 3, TensorShape({})));
    SpanScores in{sequences,          length,
                  width,              spans_,
                  Floats(projected),  c->input(1).flat<bool>().data(),
                  Floats(c->input(2)), c->input(3).scalar<float>()(),
                  epsilon_,           nullptr};
    Tensor *first, *dweight, *dconstant;
    if (num_inputs() == 4) {
      TF_RETURN_IF_ERROR(c->allocate_output(0, of_scores, &first));
      in.scores = Floats(first);
      realm::Compute(in, kernel, OnPool(c));
      return absl::OkStatus();
    }
    TF_RETURN_IF_ERROR(Expect(c, 4, of_scores));
    TF_RETURN_IF_ERROR(c->allocate_output(0, projected.shape(), &first));
    TF_RETURN_IF_ERROR(c->allocate_output(1, TensorShape({width}), &dweight));
    TF_RETURN_IF_ERROR(c->allocate_output(2, TensorShape({}), &dconstant));
    realm::Compute(SpanScoresGrad{in, Floats(c->input(4)), Floats(first), Floats(dweight),
                                  Floats(dconstant)},
                   kernel, OnPool(c));
    return absl::OkStatus();
  }

  int64_t spans_;
  float epsilon_;
};

REGISTER_KERNEL_BUILDER(Name("Realm>SpanScores").Device(tensorflow::DEVICE_CPU),
                        SpanScoresOp);
REGISTER_KERNEL_BUILDER(Name("Realm>SpanScoresGrad").Device(tensorflow::DEVICE_CPU),
                        SpanScoresOp);

}  // namespace
}  // namespace realm
