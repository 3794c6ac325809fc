// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

#include "ops/common/thread_pool.h"
#include "ops/transformer/op_kernel.h"
#include "ops/transformer/transformer.h"

namespace realm {
namespace {

using ::tensorflow::DataType;
using ::tensorflow::DataTypeToEnum;
using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

Row RowOf(const Tensor& tensor) {
  return tensor.dtype() == tensorflow::DT_FLOAT ? Row::kFloat32 : Row::kBfloat16;
}

class ResidualNormOp : public TransformerOp {
 public:
  explicit ResidualNormOp(OpKernelConstruction* c) : TransformerOp(c) {
    OP_REQUIRES_OK(c, c->GetAttr("epsilon", &epsilon_));
  }

 private:
  absl::Status Run(OpKernelContext* c, const TransformerKernel& kernel) override {
    const Tensor& x = c->input(0);
    const int64_t count = x.dim_size(0), width = x.dim_size(1);
    TF_RETURN_IF_ERROR(Expect(c, 1, x.shape()));
    for (int i : {2, 3, 4}) TF_RETURN_IF_ERROR(Expect(c, i, TensorShape({width})));
    Tensor *y, *mean, *scale;
    TF_RETURN_IF_ERROR(c->allocate_output(0, x.shape(), &y));
    TF_RETURN_IF_ERROR(c->allocate_output(1, TensorShape({count}), &mean));
    TF_RETURN_IF_ERROR(c->allocate_output(2, TensorShape({count}), &scale));
    realm::Compute(
        ResidualNorm{RowOf(x), count, width, x.data(), c->input(1).data(),
                     Floats(c->input(2)), Floats(c->input(3)), Floats(c->input(4)),
                     epsilon_, y->data(), Floats(mean), Floats(scale)},
        kernel, OnPool(c));
    return absl::OkStatus();
  }

  float epsilon_;
};

class ResidualNormGradOp : public TransformerOp {
 public:
  using TransformerOp::TransformerOp;

 private:
  absl::Status Run(OpKernelContext* c, const TransformerKernel& kernel) override {
    const Tensor& x = c->input(0);
    const int64_t count = x.dim_size(0), width = x.dim_size(1);
    for (int i : {1, 6}) TF_RETURN_IF_ERROR(Expect(c, i, x.shape()));
    for (int i : {2, 3}) TF_RETURN_IF_ERROR(Expect(c, i, TensorShape({width})));
    for (int i : {4, 5}) TF_RETURN_IF_ERROR(Expect(c, i, TensorShape({count})));
    Tensor *dsum, *dbias, *dgamma, *dbeta;
    TF_RETURN_IF_ERROR(c->allocate_output(0, x.shape(), &dsum));
    TF_RETURN_IF_ERROR(c->allocate_output(1, TensorShape({width}), &dbias));
    TF_RETURN_IF_ERROR(c->allocate_output(2, TensorShape({width}), &dgamma));
    TF_RETURN_IF_ERROR(c->allocate_output(3, TensorShape({width}), &dbeta));
    realm::Compute(
        ResidualNormGrad{RowOf(x), count, width, x.data(), c->input(1).data(),
                         Floats(c->input(2)), Floats(c->input(3)), Floats(c->input(4)),
                         Floats(c->input(5)), c->input(6).data(), dsum->data(),
                         Floats(dbias), Floats(dgamma), Floats(dbeta)},
        kernel, OnPool(c));
    return absl::OkStatus();
  }
};

class BiasActivationOp : public TransformerOp {
 public:
  explicit BiasActivationOp(OpKernelConstruction* c) : TransformerOp(c) {
    OP_REQUIRES_OK(c, GetActivation(c, &activation_));
  }

 private:
  absl::Status Run(OpKernelContext* c, const TransformerKernel& kernel) override {
    const bool backward = num_inputs() == 3;
    const Tensor& x = c->input(0);
    const int64_t count = x.dim_size(0), width = x.dim_size(1);
    TF_RETURN_IF_ERROR(Expect(c, 1, TensorShape({width})));
    if (backward) TF_RETURN_IF_ERROR(Expect(c, 2, x.shape()));
    Tensor *rows, *y, *dbias;
    // Over x or dy, where nobody else reads them.
    TF_RETURN_IF_ERROR(
        c->forward_input_or_allocate_output({backward ? 2 : 0}, 0, x.shape(), &rows));
    if (!backward) {
      realm::Compute(BiasActivation{RowOf(x), activation_, count, width, x.data(),
                                    Floats(c->input(1)), rows->data()},
                     kernel, OnPool(c));
      return absl::OkStatus();
    }
    TF_RETURN_IF_ERROR(c->allocate_output(1, x.shape(), &y));
    TF_RETURN_IF_ERROR(c->allocate_output(2, TensorShape({width}), &dbias));
    realm::Compute(
        BiasActivationGrad{RowOf(x), activation_, count, width, x.data(),
                           Floats(c->input(1)), c->input(2).data(), rows->data(), y->data(),
                           Floats(dbias)},
        kernel, OnPool(c));
    return absl::OkStatus();
  }

  Activation activation_;
};

class PackedAttentionOp : public TransformerOp {
 public:
  explicit PackedAttentionOp(OpKernelConstruction* c) : TransformerOp(c) {
    OP_REQUIRES_OK(c, c->GetAttr("heads", &heads_));
  }

 private:
  absl::Status Check(OpKernelContext* c) const {
    const TensorShape &qkv = c->input(0).shape(), &splits = c->input(2).shape();
    if (qkv.dim_size(1) % (3 * heads_)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "qkv must be [N, 3 H] with H a multiple of heads = ", heads_, ", but it is ",
          qkv.DebugString()));
    }
    TF_RETURN_IF_ERROR(Expect(c, 1, TensorShape({qkv.dim_size(1)})));
    if (splits.dims() != 1 || splits.dim_size(0) < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("splits must be [B + 1], but it is ", splits.DebugString()));
    }
    const auto at = c->input(2).flat<int32_t>();
    bool rising = at(0) == 0 && at(at.size() - 1) == qkv.dim_size(0);
    for (int64_t i = 1; i < at.size(); ++i) rising &= at(i - 1) <= at(i);
    if (rising) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("splits must rise from 0 to N = ", qkv.dim_size(0)));
  }

  absl::Status Run(OpKernelContext* c, const TransformerKernel& kernel) override {
    TF_RETURN_IF_ERROR(Check(c));
    const Tensor &qkv = c->input(0), &splits = c->input(2);
    const int64_t count = qkv.dim_size(0), hidden = qkv.dim_size(1) / 3;
    const TensorShape rows({count, hidden}), per_head({count, heads_});
    const int64_t sequences = splits.dim_size(0) - 1;
    Tensor *first, *second;
    if (num_inputs() == 3) {
      TF_RETURN_IF_ERROR(c->allocate_output(0, rows, &first));
      TF_RETURN_IF_ERROR(c->allocate_output(1, per_head, &second));
      realm::Compute(Attention{RowOf(qkv), sequences, heads_, hidden,
                               splits.flat<int32_t>().data(), qkv.data(),
                               Floats(c->input(1)), first->data(), Floats(second)},
                     kernel, OnPool(c));
      return absl::OkStatus();
    }
    TF_RETURN_IF_ERROR(Expect(c, 3, rows));
    TF_RETURN_IF_ERROR(Expect(c, 4, per_head));
    TF_RETURN_IF_ERROR(Expect(c, 5, rows));
    TF_RETURN_IF_ERROR(c->allocate_output(0, qkv.shape(), &first));
    TF_RETURN_IF_ERROR(c->allocate_output(1, c->input(1).shape(), &second));
    realm::Compute(
        AttentionGrad{RowOf(qkv), sequences, heads_, hidden, splits.flat<int32_t>().data(),
                      qkv.data(), Floats(c->input(1)), c->input(3).data(),
                      Floats(c->input(4)), c->input(5).data(), first->data(),
                      Floats(second)},
        kernel, OnPool(c));
    return absl::OkStatus();
  }

  int64_t heads_;
};

// A variable that is being updated; nobody else reads its memory meanwhile.
class Updated {
 public:
  absl::Status Open(OpKernelContext* c, int input) {
    TF_RETURN_IF_ERROR(
        tensorflow::LookupResource(c, tensorflow::HandleFromInput(c, input), &variable_));
    lock_ = std::make_unique<tensorflow::mutex_lock>(*variable_->mu());
    Tensor* tensor = variable_->tensor();
    const TensorShape& wanted = c->input(3).shape();
    if (tensor->dtype() != tensorflow::DT_FLOAT || tensor->shape() != wanted) {
      return absl::InvalidArgumentError(
          absl::StrCat("input ", input, " must be a float variable ",
                       wanted.DebugString(), ", but it is ", tensor->DebugString(0)));
    }
    if (tensor->RefCountIsOne()) return absl::OkStatus();
    Tensor copy;  // what was read before the update keeps its values
    TF_RETURN_IF_ERROR(c->allocate_temp(tensorflow::DT_FLOAT, wanted, &copy));
    copy.flat<float>() = tensor->flat<float>();
    *tensor = copy;
    return absl::OkStatus();
  }

  float* data() { return variable_->tensor()->flat<float>().data(); }

 private:
  tensorflow::core::RefCountPtr<tensorflow::Var> variable_;
  std::unique_ptr<tensorflow::mutex_lock> lock_;  // goes before the variable
};

class ResourceAdamWOp : public OpKernel {
 public:
  explicit ResourceAdamWOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("beta1", &beta1_));
    OP_REQUIRES_OK(c, c->GetAttr("beta2", &beta2_));
    OP_REQUIRES_OK(c, c->GetAttr("epsilon", &epsilon_));
  }

  void Compute(OpKernelContext* c) override {
    std::string problem;
    const TransformerKernel* kernel = ChosenTransformerKernel(&problem);
    OP_REQUIRES(c, kernel != nullptr, absl::InvalidArgumentError(problem));
    for (int i : {4, 5, 6}) OP_REQUIRES_OK(c, Expect(c, i, TensorShape({})));
    Updated value, m, v;
    OP_REQUIRES_OK(c, value.Open(c, 0));
    OP_REQUIRES_OK(c, m.Open(c, 1));
    OP_REQUIRES_OK(c, v.Open(c, 2));
    const auto scalar = [c](int i) { return c->input(i).scalar<float>()(); };
    realm::Compute(AdamW{c->input(3).NumElements(), Floats(c->input(3)), scalar(6), beta1_,
                         beta2_, epsilon_, scalar(5), scalar(4), value.data(), m.data(),
                         v.data()},
                   *kernel, OnPool(c));
  }

 private:
  float beta1_, beta2_, epsilon_;
};

#define REALM_REGISTER(name, kernel) \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU), kernel)

REALM_REGISTER("Realm>ResidualNorm", ResidualNormOp);
REALM_REGISTER("Realm>ResidualNormGrad", ResidualNormGradOp);
REALM_REGISTER("Realm>BiasActivation", BiasActivationOp);
REALM_REGISTER("Realm>BiasActivationGrad", BiasActivationOp);
REALM_REGISTER("Realm>PackedAttention", PackedAttentionOp);
REALM_REGISTER("Realm>PackedAttentionGrad", PackedAttentionOp);
REALM_REGISTER("Realm>ResourceAdamW", ResourceAdamWOp);

#undef REALM_REGISTER

}  // namespace
}  // namespace realm
