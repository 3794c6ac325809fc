// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Cuts the work into tasks, and adds up what they bring.

#include "ops/transformer/transformer.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ops/common/cpu_features.h"

namespace realm {
namespace {

// Parts are cut by the size of the input alone, so sums have one order.
constexpr int64_t kRowsPerPart = 128;
constexpr int64_t kGroups = 16;  // of sequences, in attention

using Body = std::function<void(int64_t begin, int64_t end, float* sums)>;

// Runs `body` on parts of the rows, and adds their sums of `width` up in `totals`.
void SumOverRows(int64_t count, int64_t width, const ParallelTasks& parallel,
                 const Body& body, float* totals, int64_t least = kRowsPerPart) {
  // At most 32 parts, so that their sums are little beside the rows.
  const int64_t size = std::max(least, (count + 31) / 32);
  const int64_t parts = (count + size - 1) / size;
  std::vector<float> sums(parts * width);
  parallel(parts, [&](int64_t part) {
    body(part * size, std::min(count, (part + 1) * size), sums.data() + part * width);
  });
  std::fill(totals, totals + width, 0.f);
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t i = 0; i < width; ++i) totals[i] += sums[part * width + i];
  }
}

void ForRows(int64_t count, const ParallelTasks& parallel,
             const std::function<void(int64_t, int64_t)>& body) {
  parallel((count + kRowsPerPart - 1) / kRowsPerPart, [&](int64_t part) {
    body(part * kRowsPerPart, std::min(count, (part + 1) * kRowsPerPart));
  });
}

// Groups of consecutive sequences with about the same number of tokens: their bounds.
std::vector<int64_t> Groups(const int32_t* splits, int64_t sequences) {
  std::vector<int64_t> bounds = {0};
  const int64_t tokens = splits[sequences];
  for (int64_t group = 1; group < std::min(kGroups, sequences); ++group) {
    const int32_t* at = std::lower_bound(splits + bounds.back() + 1, splits + sequences,
                                         tokens * group / std::min(kGroups, sequences));
    if (at - splits < sequences) bounds.push_back(at - splits);
  }
  bounds.push_back(sequences);
  return bounds;
}

// Memory of this thread, on a boundary of 64 bytes; kept, since tasks are short.
void* Scratch(int64_t bytes) {
  thread_local std::unique_ptr<void, void (*)(void*)> memory(nullptr, &std::free);
  thread_local int64_t size = 0;
  if (bytes > size) {
    size = (bytes + 63) / 64 * 64;
    memory.reset();
    memory.reset(std::aligned_alloc(64, size));
  }
  return memory.get();
}

}  // namespace

const std::vector<TransformerKernel>& TransformerKernels() {
  static const auto* const kernels = [] {
    auto* found = new std::vector<TransformerKernel>;
#if defined(__x86_64__)
    const CpuFeatures& cpu = Cpu();
    if (cpu.amx_bf16) found->push_back(kAmxTransformer);
    if (cpu.avx512_vnni) found->push_back(kAvx512VnniTransformer);
    if (cpu.avx512) found->push_back(kAvx512Transformer);
    if (cpu.avx2) found->push_back(kAvx2Transformer);
#endif
    found->push_back(kPortableTransformer);
    return found;
  }();
  return *kernels;
}

const TransformerKernel* ChosenTransformerKernel(std::string* problem) {
  return ChooseKernel(TransformerKernels(), "REALM_TRANSFORMER_KERNEL", problem);
}

void Compute(const ResidualNorm& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  ForRows(in.count, parallel, [&](int64_t begin, int64_t end) {
    kernel.residual_norm(in, begin, end);
  });
}

void Compute(const ResidualNormGrad& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  std::vector<float> sums(3 * in.width);
  SumOverRows(in.count, 3 * in.width, parallel,
              [&](int64_t begin, int64_t end, float* part) {
                kernel.residual_norm_grad(in, begin, end, part);
              },
              sums.data());
  std::copy_n(sums.data(), in.width, in.dbias);
  std::copy_n(sums.data() + in.width, in.width, in.dgamma);
  std::copy_n(sums.data() + 2 * in.width, in.width, in.dbeta);
}

void Compute(const BiasActivation& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  ForRows(in.count, parallel, [&](int64_t begin, int64_t end) {
    kernel.bias_activation(in, begin, end);
  });
}

void Compute(const BiasActivationGrad& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  SumOverRows(in.count, in.width, parallel,
              [&](int64_t begin, int64_t end, float* part) {
                kernel.bias_activation_grad(in, begin, end, part);
              },
              in.dbias);
}

namespace {

// Calls `body(group, sequence, first head, last head)` in tasks, each of which does its
// sequences in order: all heads of a group of them, or, where they are few, one head.
void ForHeads(const int32_t* splits, int64_t sequences, int64_t heads,
              const ParallelTasks& parallel,
              const std::function<void(int64_t, int64_t, int64_t, int64_t)>& body) {
  const std::vector<int64_t> bounds = Groups(splits, sequences);
  const int64_t groups = bounds.size() - 1, parts = sequences < kGroups ? heads : 1;
  parallel(groups * parts, [&](int64_t task) {
    const int64_t group = task / parts, head = task % parts;
    for (int64_t sequence = bounds[group]; sequence < bounds[group + 1]; ++sequence) {
      body(group, sequence, head, parts == 1 ? heads : head + 1);
    }
  });
}

}  // namespace

void Compute(const Attention& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  if (in.sequences == 0) return;
  ForHeads(in.splits, in.sequences, in.heads, parallel,
           [&](int64_t, int64_t sequence, int64_t begin, int64_t end) {
             const int64_t length = in.splits[sequence + 1] - in.splits[sequence];
             void* scratch = Scratch(kernel.attention_scratch(
                 length, in.hidden / in.heads, end - begin));
             kernel.attention(in, sequence, begin, end, scratch);
           });
}

void Compute(const AttentionGrad& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  std::fill(in.dbias, in.dbias + 3 * in.hidden, 0.f);
  if (in.sequences == 0) return;
  const int64_t width = 3 * in.hidden;
  std::vector<float> sums(kGroups * width);
  ForHeads(in.splits, in.sequences, in.heads, parallel,
           [&](int64_t group, int64_t sequence, int64_t begin, int64_t end) {
             const int64_t length = in.splits[sequence + 1] - in.splits[sequence];
             void* scratch = Scratch(kernel.attention_scratch(
                 length, in.hidden / in.heads, end - begin));
             kernel.attention_grad(in, sequence, begin, end, scratch,
                                   sums.data() + group * width);
           });
  for (int64_t group = 0; group < kGroups; ++group) {
    for (int64_t i = 0; i < width; ++i) in.dbias[i] += sums[group * width + i];
  }
}

void Compute(const SpanScores& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  ForRows(in.sequences * in.length, parallel, [&](int64_t begin, int64_t end) {
    kernel.score_spans(in, begin, end);
  });
}

void Compute(const SpanScoresGrad& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  const int64_t width = in.of.width;
  std::vector<float> sums(width + 1);
  SumOverRows(in.of.sequences, width + 1, parallel,
              [&](int64_t begin, int64_t end, float* part) {
                kernel.score_spans_grad(in, begin, end, part);
              },
              sums.data(), /*least=*/1);
  std::copy_n(sums.data(), width, in.dweight);
  *in.dconstant = sums[width];
}

void Compute(const AdamW& in, const TransformerKernel& kernel,
             const ParallelTasks& parallel) {
  constexpr int64_t kPart = 1 << 16;
  parallel((in.count + kPart - 1) / kPart, [&](int64_t part) {
    kernel.adamw(in, part * kPart, std::min(in.count, (part + 1) * kPart));
  });
}

}  // namespace realm

extern "C" const char* realm_transformer_kernel() {
  return realm::NameOrProblem(realm::ChosenTransformerKernel);
}
