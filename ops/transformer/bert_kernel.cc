// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

#include "ops/common/thread_pool.h"
#include "ops/transformer/bert.h"
#include "ops/transformer/op_kernel.h"

namespace realm {
namespace {

using ::tensorflow::OpInputList;
using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

// More threads than this have nothing to do for so many multiplications.
constexpr int64_t kProductsPerThread = 1 << 24;

absl::Status Expect(const std::string& name, const Tensor& tensor,
                    const TensorShape& wanted) {
  return ExpectShape("Realm>Bert", name, tensor.shape(), wanted);
}

// The inputs after the first three, whose shapes are as the sizes want them.
class Inputs {
 public:
  Inputs(OpKernelContext* c, BertSizes* sizes) : sizes_(*sizes) {
    for (auto [name, list] : {std::pair{"embeddings", &embeddings_},
                              {"embedding_norm", &embedding_norm_}, {"kernels", &kernels_},
                              {"scales", &scales_}, {"vectors", &vectors_}}) {
      status_.Update(c->input_list(name, list));
    }
    if (status_.ok()) status_.Update(Check());
    *sizes = sizes_;
  }

  const absl::Status& status() const { return status_; }

  // How many words, positions and segments there are.
  int64_t Rows(int table) const { return embeddings_[table].dim_size(0); }

  BertWeights Weights() const {
    const auto packed = [&](int i) {
      return PackedKernels{kernels_[i].data(),
                           scales_.size() > 0 ? Floats(scales_[i]) : nullptr};
    };
    const auto vector = [&](int i) { return Floats(vectors_[i]); };
    return {Floats(embeddings_[0]), Floats(embeddings_[1]), Floats(embeddings_[2]),
            Floats(embedding_norm_[0]), Floats(embedding_norm_[1]),
            packed(0), packed(1), packed(2), packed(3),
            vector(0), vector(1), vector(2), vector(3),
            vector(4), vector(5), vector(6), vector(7)};
  }

 private:
  absl::Status Check() {
    if (embeddings_.size() != 3 || embedding_norm_.size() != 2 || kernels_.size() != 4 ||
        vectors_.size() != 8) {
      return absl::InvalidArgumentError(
          "Realm>Bert: takes 3 embeddings, 2 of their norm, 4 kernels and 8 vectors");
    }
    for (int i = 0; i < 3; ++i) {
      if (embeddings_[i].dims() != 2) {
        return absl::InvalidArgumentError("Realm>Bert: embeddings must be [.., H]");
      }
    }
    if (kernels_[0].dims() < 2 || vectors_[4].dims() != 2) {
      return absl::InvalidArgumentError("Realm>Bert: weights must be those of L layers");
    }
    const int64_t layers = sizes_.layers = kernels_[0].dim_size(0);
    const int64_t hidden = sizes_.hidden = embeddings_[0].dim_size(1);
    const int64_t inner = sizes_.inner = vectors_[4].dim_size(1);
    if (hidden % sizes_.heads) {
      return absl::InvalidArgumentError("Realm>Bert: H must be a multiple of heads");
    }
    for (int i = 1; i < 3; ++i) {
      TF_RETURN_IF_ERROR(Expect("embeddings", embeddings_[i], {Rows(i), hidden}));
    }
    for (int i = 0; i < 2; ++i) {
      TF_RETURN_IF_ERROR(Expect("embedding_norm", embedding_norm_[i], {hidden}));
    }
    const int64_t depths[] = {hidden, hidden, hidden, inner};
    const int64_t widths[] = {3 * hidden, hidden, inner, hidden};
    for (int i = 0; i < 4; ++i) {
      TF_RETURN_IF_ERROR(CheckKernel(i, layers, depths[i], widths[i]));
    }
    for (int i = 0; i < 8; ++i) {
      TF_RETURN_IF_ERROR(Expect(absl::StrCat("vector ", i), vectors_[i],
                                {layers, i == 0 ? 3 * hidden : i == 4 ? inner : hidden}));
    }
    return absl::OkStatus();
  }

  absl::Status CheckKernel(int i, int64_t layers, int64_t depth, int64_t width) const {
    const std::string name = absl::StrCat("kernel ", i);
    if (scales_.size() == 0) {
      if (kernels_[i].dtype() != tensorflow::DT_FLOAT) {
        return absl::InvalidArgumentError("Realm>Bert: kernels of int8 have scales");
      }
      return Expect(name, kernels_[i], {layers, Panels(width), depth, kPanel});
    }
    if (scales_.size() != 4 || kernels_[i].dtype() != tensorflow::DT_INT8) {
      return absl::InvalidArgumentError("Realm>Bert: scales are of four kernels of int8");
    }
    TF_RETURN_IF_ERROR(Expect(absl::StrCat("scales ", i), scales_[i],
                              {layers, Panels(width) * kPanel}));
    return Expect(name, kernels_[i], {layers, Panels(width), (depth + 1) / 2, kPanel, 2});
  }

  BertSizes sizes_;
  absl::Status status_;
  OpInputList embeddings_, embedding_norm_, kernels_, scales_, vectors_;
};

// Counts the calls that are at work in this process: they share its threads.
class AtWork {
 public:
  AtWork() : others_(count_.fetch_add(1)) {}
  ~AtWork() { count_.fetch_sub(1); }
  int64_t others() const { return others_; }

 private:
  static inline std::atomic<int64_t> count_{0};
  const int64_t others_;
};

// The tokens that are no padding.
struct Tokens {
  std::vector<int32_t> splits = {0}, ids, positions, segments;
  std::vector<int64_t> places;  // among B T

  Tokens(const Tensor& all_ids, const Tensor& mask, const Tensor& all_segments) {
    const int64_t batch = all_ids.dim_size(0), length = all_ids.dim_size(1);
    const auto id = all_ids.flat<int32_t>(), segment = all_segments.flat<int32_t>();
    const auto real = mask.flat<bool>();
    for (int64_t row = 0; row < batch; ++row) {
      for (int64_t place = row * length; place < (row + 1) * length; ++place) {
        if (!real(place)) continue;
        ids.push_back(id(place));
        positions.push_back(place - row * length);
        segments.push_back(segment(place));
        places.push_back(place);
      }
      splits.push_back(ids.size());
    }
  }
};

// All of `rows` must be rows of a table.
absl::Status ExpectWithin(const char* what, const std::vector<int32_t>& rows, int64_t count) {
  for (int32_t row : rows) {
    if (row < 0 || row >= count) {
      return absl::InvalidArgumentError(
          absl::StrCat("Realm>Bert: ", what, " must be from 0 to ", count - 1,
                       ", but one is ", row));
    }
  }
  return absl::OkStatus();
}

class BertOp : public OpKernel {
 public:
  explicit BertOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("heads", &sizes_.heads));
    OP_REQUIRES_OK(c, GetActivation(c, &sizes_.activation));
    OP_REQUIRES_OK(c, c->GetAttr("epsilon", &sizes_.epsilon));
  }

  void Compute(OpKernelContext* c) override {
    std::string problem;
    const TransformerKernel* kernel = ChosenTransformerKernel(&problem);
    OP_REQUIRES(c, kernel != nullptr, absl::InvalidArgumentError(problem));
    BertSizes sizes = sizes_;
    const Inputs inputs(c, &sizes);
    OP_REQUIRES_OK(c, inputs.status());
    const Tensor &ids = c->input(0), &mask = c->input(1), &segments = c->input(2);
    OP_REQUIRES(c, ids.dims() == 2,
                absl::InvalidArgumentError("Realm>Bert: ids must be [B, T]"));
    OP_REQUIRES_OK(c, Expect("mask", mask, ids.shape()));
    OP_REQUIRES_OK(c, Expect("segments", segments, ids.shape()));
    const Tokens tokens(ids, mask, segments);
    OP_REQUIRES_OK(c, ExpectWithin("ids", tokens.ids, inputs.Rows(0)));
    OP_REQUIRES_OK(c, ExpectWithin("positions", tokens.positions, inputs.Rows(1)));
    OP_REQUIRES_OK(c, ExpectWithin("segments", tokens.segments, inputs.Rows(2)));
    TensorShape shape = ids.shape();
    shape.AddDim(sizes.hidden);
    Tensor* states;
    OP_REQUIRES_OK(c, c->allocate_output(0, shape, &states));
    std::fill_n(Floats(states), states->NumElements(), 0.f);
    Run(c, sizes, inputs.Weights(), tokens, *kernel, Floats(states));
  }

 private:
  static void Run(OpKernelContext* c, const BertSizes& sizes, const BertWeights& weights,
                  const Tokens& tokens, const TransformerKernel& kernel, float* states) {
    auto* const pool = PoolOf(c);
    const int64_t products = static_cast<int64_t>(tokens.ids.size()) * sizes.layers *
                             sizes.hidden * (4 * sizes.hidden + 2 * sizes.inner);
    const AtWork at_work;
    const int64_t threads =
        std::max<int64_t>(1, std::min<int64_t>(pool->NumThreads() - at_work.others(),
                                               1 + products / kProductsPerThread));
    const BertRows rows{static_cast<int64_t>(tokens.splits.size()) - 1, tokens.splits.data(),
                        tokens.ids.data(), tokens.positions.data(), tokens.segments.data(),
                        tokens.places.data(), states};
    realm::Compute(sizes, weights, rows, kernel, threads,
                   [pool](std::function<void()> help) { pool->Schedule(std::move(help)); });
  }

  BertSizes sizes_;
};

REGISTER_KERNEL_BUILDER(Name("Realm>Bert").Device(tensorflow::DEVICE_CPU), BertOp);

}  // namespace
}  // namespace realm
