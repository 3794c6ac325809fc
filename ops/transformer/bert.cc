// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/transformer/bert.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace realm {
namespace {

// What one thread multiplies at a time: its rows stay in its cache.
constexpr int64_t kRowBlock = 96;
// Rows that go through all layers together, where there are many: nobody waits for another.
constexpr int64_t kGroup = 128;
constexpr int64_t kShortRows = 16;  // that one thread rounds

int64_t Up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// The whole numbers of a row of such width whose products with int8 add up to an int32.
float LargestRounded(int64_t width) {
  return std::min<int64_t>(32767, INT32_MAX / (127 * Up(width, 2)) - 1);
}

// Some whole sequences on their way through the layers.
class Tower {
 public:
  Tower(const BertSizes& sizes, const BertWeights& weights, const BertRows& rows,
        const TransformerKernel& kernel, int64_t first, int64_t last)
      : sizes_(sizes), weights_(weights), rows_(rows), kernel_(kernel),
        offset_(rows.splits[first]), count_(rows.splits[last] - offset_),
        splits_(rows.splits + first, rows.splits + last + 1) {
    for (int32_t& split : splits_) split -= offset_;
    const int64_t hidden = sizes.hidden, inner = sizes.inner, width = std::max(hidden, inner);
    floats_.reset(new float[count_ * (5 * hidden + std::max(inner, 3 * hidden) + sizes.heads +
                                      3) + 3 * hidden]);
    float* next = floats_.get();
    const auto take = [&](int64_t size) { return std::exchange(next, next + size); };
    x_ = take(count_ * hidden);
    delta_ = take(count_ * hidden);
    context_ = take(count_ * hidden);
    wide_ = take(count_ * std::max(inner, 3 * hidden));
    log_sums_ = take(count_ * sizes.heads);
    mean_ = take(count_);
    scale_ = take(count_);
    row_scales_ = take(count_);
    zeros_ = take(hidden);
    std::fill_n(zeros_, hidden, 0.f);
    if (weights.qkv.scales) rounded_.reset(new int16_t[count_ * Up(width, 2)]);
  }

  void Run(const ParallelTasks& parallel, int64_t threads) {
    threads_ = threads;
    Embed(parallel);
    for (int64_t layer = 0; layer < sizes_.layers; ++layer) RunLayer(layer, parallel);
    for (int64_t row = 0; row < count_; ++row) {
      std::copy_n(x_ + row * sizes_.hidden, sizes_.hidden,
                  rows_.states + rows_.places[offset_ + row] * sizes_.hidden);
    }
  }

 private:
  void Embed(const ParallelTasks& parallel) {
    const int64_t hidden = sizes_.hidden;
    for (int64_t row = 0; row < count_; ++row) {
      const int64_t token = offset_ + row;
      const float* position = weights_.positions + rows_.positions[token] * hidden;
      const float* type = weights_.types + rows_.segments[token] * hidden;
      std::copy_n(weights_.words + rows_.ids[token] * hidden, hidden, x_ + row * hidden);
      std::transform(position, position + hidden, type, delta_ + row * hidden,
                     [](float a, float b) { return a + b; });
    }
    AddAndNormalise(zeros_, weights_.gamma, weights_.beta, parallel);
  }

  void RunLayer(int64_t layer, const ParallelTasks& parallel) {
    const BertWeights& w = weights_;
    const int64_t hidden = sizes_.hidden, inner = sizes_.inner;
    Multiply(x_, hidden, w.qkv, layer, 3 * hidden, nullptr, wide_, parallel);
    Compute(Attention{Row::kFloat32, static_cast<int64_t>(splits_.size()) - 1, sizes_.heads,
                      hidden, splits_.data(), wide_, w.qkv_bias + layer * 3 * hidden,
                      context_, log_sums_},
            kernel_, parallel);
    Multiply(context_, hidden, w.attention_output, layer, hidden, nullptr, delta_, parallel);
    AddAndNormalise(w.attention_bias + layer * hidden, w.attention_gamma + layer * hidden,
                    w.attention_beta + layer * hidden, parallel);
    Multiply(x_, hidden, w.inner, layer, inner, w.inner_bias + layer * inner, wide_,
             parallel);
    Multiply(wide_, inner, w.output, layer, hidden, nullptr, delta_, parallel);
    AddAndNormalise(w.output_bias + layer * hidden, w.output_gamma + layer * hidden,
                    w.output_beta + layer * hidden, parallel);
  }

  // y = x kernel, rounded first where the kernel is.
  void Multiply(const float* x, int64_t depth, const PackedKernels& kernels, int64_t layer,
                int64_t width, const float* bias, float* y, const ParallelTasks& parallel) {
    const int64_t panels = Panels(width), columns = panels * kPanel;
    PackedProduct product{depth, width, nullptr, nullptr, bias, sizes_.activation, x, nullptr,
                          row_scales_, y};
    if (kernels.scales) {
      Round(x, depth, parallel);
      product.kernel = static_cast<const int8_t*>(kernels.kernel) +
                       layer * columns * Up(depth, 2);
      product.scales = kernels.scales + layer * columns;
      product.rounded = rounded_.get();
    } else {
      product.kernel = static_cast<const float*>(kernels.kernel) + layer * columns * depth;
    }
    // Rows are shared out where they are many, columns too where they are few.
    const int64_t at_once = threads_ * kRowBlock;
    const int64_t by_rows =
        count_ < at_once / 2 ? 1 : threads_ * ((count_ + at_once - 1) / at_once);
    const bool rows_do = threads_ == 1 || by_rows > 2 * threads_;
    const int64_t by_columns = rows_do ? 1 : std::min(panels, 4 * threads_ / by_rows);
    parallel(by_rows * by_columns, [&](int64_t task) {
      const int64_t row = task / by_columns, column = task % by_columns;
      kernel_.multiply(product, {count_ * row / by_rows, count_ * (row + 1) / by_rows,
                                 panels * column / by_columns,
                                 panels * (column + 1) / by_columns});
    });
  }

  void Round(const float* x, int64_t width, const ParallelTasks& parallel) {
    const RowsToRound rows{width, LargestRounded(width), x, rounded_.get(), row_scales_};
    parallel((count_ + kShortRows - 1) / kShortRows, [&](int64_t part) {
      kernel_.round(rows, part * kShortRows, std::min(count_, (part + 1) * kShortRows));
    });
  }

  // x = norm(x + delta + bias) gamma + beta.
  void AddAndNormalise(const float* bias, const float* gamma, const float* beta,
                       const ParallelTasks& parallel) {
    Compute(ResidualNorm{Row::kFloat32, count_, sizes_.hidden, x_, delta_, bias, gamma, beta,
                         sizes_.epsilon, x_, mean_, scale_},
            kernel_, parallel);
  }

  const BertSizes& sizes_;
  const BertWeights& weights_;
  const BertRows& rows_;
  const TransformerKernel& kernel_;
  const int64_t offset_, count_;
  std::vector<int32_t> splits_;
  std::unique_ptr<float[]> floats_;
  std::unique_ptr<int16_t[]> rounded_;
  float *x_, *delta_, *context_, *wide_, *log_sums_, *mean_, *scale_, *row_scales_, *zeros_;
  int64_t threads_ = 1;
};

// Where groups of whole sequences of about kGroup rows begin, and the end of the last.
std::vector<int64_t> GroupBounds(const int32_t* splits, int64_t sequences) {
  std::vector<int64_t> bounds = {0};
  for (int64_t s = 1; s <= sequences; ++s) {
    if (s == sequences || splits[s + 1] - splits[bounds.back()] > kGroup) bounds.push_back(s);
  }
  return bounds;
}

}  // namespace

void Compute(const BertSizes& sizes, const BertWeights& weights, const BertRows& rows,
             const TransformerKernel& kernel, int64_t threads, const Start& start) {
  if (rows.sequences == 0 || rows.splits[rows.sequences] == 0) return;
  const std::vector<int64_t> bounds = GroupBounds(rows.splits, rows.sequences);
  const int64_t groups = bounds.size() - 1;
  const auto team = Team::With(threads - 1, start);
  const ParallelTasks parallel = [&](int64_t tasks, const Team::Task& task) {
    team->Do(tasks, task);
  };
  if (threads > 1 && groups < 4 * threads) {
    Tower(sizes, weights, rows, kernel, 0, rows.sequences).Run(parallel, threads);
  } else {
    const ParallelTasks alone = [](int64_t tasks, const Team::Task& task) {
      for (int64_t i = 0; i < tasks; ++i) task(i);
    };
    parallel(groups, [&](int64_t group) {
      Tower(sizes, weights, rows, kernel, bounds[group], bounds[group + 1]).Run(alone, 1);
    });
  }
  team->End();
}

}  // namespace realm
