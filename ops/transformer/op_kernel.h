// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What our ops of a transformer have in common as TensorFlow's kernels.

#ifndef REALM_OPS_TRANSFORMER_OP_KERNEL_H_
#define REALM_OPS_TRANSFORMER_OP_KERNEL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

#include "ops/transformer/transformer.h"

namespace realm {

inline const float* Floats(const tensorflow::Tensor& tensor) {
  return tensor.flat<float>().data();
}
inline float* Floats(tensorflow::Tensor* tensor) { return tensor->flat<float>().data(); }

// What an op calls `what` must have the shape `wanted`.
inline absl::Status ExpectShape(const std::string& op, const std::string& what,
                                const tensorflow::TensorShape& shape,
                                const tensorflow::TensorShape& wanted) {
  if (shape == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(op, ": ", what, " must be ",
                                                 wanted.DebugString(), ", but it is ",
                                                 shape.DebugString()));
}

// Input `number` must have the shape `wanted`.
inline absl::Status Expect(tensorflow::OpKernelContext* c, int number,
                           const tensorflow::TensorShape& wanted) {
  return ExpectShape(c->op_kernel().type_string(), absl::StrCat("input ", number),
                     c->input(number).shape(), wanted);
}

// The attribute `activation`, whose values the registration of the op lists.
inline absl::Status GetActivation(tensorflow::OpKernelConstruction* c,
                                  Activation* activation) {
  std::string name;
  TF_RETURN_IF_ERROR(c->GetAttr("activation", &name));
  *activation = name == "gelu"        ? Activation::kGelu
                : name == "gelu_tanh" ? Activation::kGeluTanh
                                      : Activation::kRelu;
  return absl::OkStatus();
}

// Computes by the kernel of this processor; the first input has `rank` dimensions.
class TransformerOp : public tensorflow::OpKernel {
 public:
  explicit TransformerOp(tensorflow::OpKernelConstruction* c, int rank = 2)
      : OpKernel(c), rank_(rank) {}

  void Compute(tensorflow::OpKernelContext* c) override {
    OP_REQUIRES(c, c->input(0).dims() == rank_,
                absl::InvalidArgumentError(absl::StrCat(
                    type_string(), ": input 0 must have ", rank_,
                    " dimensions, but it is ", c->input(0).shape().DebugString())));
    std::string problem;
    const TransformerKernel* kernel = ChosenTransformerKernel(&problem);
    OP_REQUIRES(c, kernel != nullptr, absl::InvalidArgumentError(problem));
    OP_REQUIRES_OK(c, Run(c, *kernel));
  }

 private:
  virtual absl::Status Run(tensorflow::OpKernelContext* c,
                           const TransformerKernel& kernel) = 0;

  const int rank_;
};

}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_OP_KERNEL_H_
