// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What follows a scan on a GPU (scan.h): which groups may hold one of the best W rows, the
// exact scores of the rows of those, and the best of these in order.
//
// WHY NOTHING IS LOST. W warps' `lows` or more reach T, and those are of different rows; so
// the W-th best score is T at least. A group whose largest product is below T by more than
// its bound has no row that reaches T. Comparisons are "not less than", so a NaN is never
// dropped, and a score that is not a number is found. T is lowered by 2^-20 of itself and
// by one unit of the smallest numbers, more than rounding to float moves a score: a row that
// is dropped scores less than T, never the same. Scores beyond float's range are alike, so T
// is in that range.
//
// What does not fit (more than 4096 groups or rows, as where rows are nearly all alike) is a
// problem that is reported, and the answer is then not to be used.

#ifndef REALM_OPS_TOP_K_GPU_CHOOSE_H_
#define REALM_OPS_TOP_K_GPU_CHOOSE_H_

#include <cfloat>

#include "ops/top_k_gpu/scan.h"

namespace realm::gpu {

constexpr int kMaxCandidates = 4096;  // groups, and rows, for each query
constexpr int kMaxWidth = 1024;

struct Choice {
  const float* queries;  // [count, depth]
  const void* table;     // [rows, depth]
  int64_t rows;
  int count, depth, width, columns, warps;  // columns = 8 NT
  const float* maxima;
  const float* reach;
  const float* slopes;
  const int32_t* exponents;
  const float* lows;
  const float* highs;
  float* thresholds;  // [columns], on the scale of each query
  int* num_groups;    // [columns], zeros at first
  int* num_found;     // [columns], zeros at first
  int32_t* groups;    // [columns, kMaxCandidates]
  uint64_t* found;    // [columns, kMaxCandidates]
  float* scores;      // [count, width]
  int32_t* best;      // [count, width]
  int32_t* problem;   // [1]
};

// Orders as the floats do.
REALM_DEVICE uint32_t OrderOf(float x) {
  const uint32_t bits = AsBits(x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

REALM_DEVICE float OfOrder(uint32_t order) {
  return AsFloat(order >> 31 ? order & 0x7fffffffu : ~order);
}

// A block for each query: T, from the W-th largest of the warps' lower bounds.
REALM_KERNEL void Threshold(Choice c) {
  const int query = blockIdx.x, size = blockDim.x;
  uint32_t order = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const uint32_t trial = order | 1u << bit;
    int reaching = 0;
    for (int first = 0; first < c.warps; first += size) {
      const int warp = first + threadIdx.x;
      reaching += SyncAndCount(
          warp < c.warps &&
          OrderOf(c.lows[static_cast<int64_t>(warp) * c.columns + query]) >= trial);
    }
    if (reaching >= c.width) order = trial;
  }
  if (threadIdx.x > 0) return;
  c.num_groups[query] = c.num_found[query] = 0;
  const double limit = scalbn(static_cast<double>(FLT_MAX), -c.exponents[query]);
  double low = order == 0 ? -INFINITY : OfOrder(order);
  if (!(low >= -limit)) low = -INFINITY;
  if (low > limit) low = limit;
  low -= 0x1p-20 * fabs(low) + scalbn(1.0, -148 - c.exponents[query]);
  float threshold = static_cast<float>(low);
  if (threshold > low) threshold = nextafterf(threshold, -INFINITY);
  c.thresholds[query] = threshold;
}

// A block for each warp of the scan: those of its groups that may reach T.
template <int kColumns>
REALM_KERNEL void Collect(Choice c) {
  __shared__ int hits[kColumns];
  __shared__ int num_hits;
  const int warp = blockIdx.x, thread = threadIdx.x;
  if (thread == 0) num_hits = 0;
  SyncBlock();
  if (thread < c.count && !(c.highs[static_cast<int64_t>(warp) * kColumns + thread] <
                            c.thresholds[thread])) {
    hits[AddToCount(&num_hits)] = thread;
  }
  SyncBlock();
  const int64_t groups = (c.rows + kGroupRows - 1) / kGroupRows;
  for (int hit = 0; hit < num_hits; ++hit) {
    const int query = hits[hit];
    const float slope = c.slopes[query], threshold = c.thresholds[query];
    for (int64_t group = warp + static_cast<int64_t>(thread) * c.warps; group < groups;
         group += static_cast<int64_t>(blockDim.x) * c.warps) {
      const float high = fmaf(slope, c.reach[group], c.maxima[group * kColumns + query]);
      if (high < threshold) continue;
      const int at = AddToCount(&c.num_groups[query]);
      if (at < kMaxCandidates) c.groups[query * kMaxCandidates + at] = group;
    }
  }
}

REALM_DEVICE float Element(const float* row, int i) { return row[i]; }
REALM_DEVICE float Element(const Bfloat16* row, int i) {
  return AsFloat(static_cast<uint32_t>(row[i].bits) << 16);
}

// The score, as `Scanner::dot` (scan.h of CPUs) defines it, for half a warp: sixteen sums in
// double, the upper half of which is added to the lower four times.
template <typename T>
REALM_DEVICE double Dot(const float* query, const T* row, int depth, int lane) {
  double sum = 0;
  for (int i = lane % 16; i < depth; i += 16) {
    sum = fma(static_cast<double>(query[i]), static_cast<double>(Element(row, i)), sum);
  }
  for (int mask = 8; mask > 0; mask /= 2) sum += FromLane(sum, mask);
  return sum;
}

// Blocks (x, query): the exact scores of the chosen groups, of which those that reach T are
// kept as keys that order as the answer does.
template <typename T>
REALM_KERNEL void Score(Choice c) {
  const int query = blockIdx.y, lane = threadIdx.x % 32;
  const int groups = c.num_groups[query];
  if (groups > kMaxCandidates) return;  // as Sort reports
  const float* values = c.queries + static_cast<int64_t>(query) * c.depth;
  const double threshold = c.thresholds[query];
  for (int i = blockIdx.x; i < groups; i += gridDim.x) {
    const int64_t first =
        static_cast<int64_t>(c.groups[query * kMaxCandidates + i]) * kGroupRows;
    for (int j = threadIdx.x / 16; j < kGroupRows; j += blockDim.x / 16) {
      const int64_t row = first + j;
      const int64_t read = row < c.rows ? row : c.rows - 1;  // all lanes add up together
      const double sum =
          Dot(values, static_cast<const T*>(c.table) + read * c.depth, c.depth, lane);
      if (lane % 16 != 0 || row >= c.rows) continue;
      if (sum != sum) *c.problem = 1;
      if (scalbn(sum, -c.exponents[query]) < threshold) continue;
      const float score = static_cast<float>(sum);
      const int at = AddToCount(&c.num_found[query]);
      if (at < kMaxCandidates) {
        c.found[query * kMaxCandidates + at] =
            static_cast<uint64_t>(OrderOf(score == 0 ? 0.0f : score)) << 32 |
            (0xffffffffu - static_cast<uint32_t>(row));
      }
    }
  }
}

// A block for each query: a bitonic sort of the keys, the largest first.
REALM_KERNEL void Sort(Choice c) {
  auto* keys = reinterpret_cast<uint64_t*>(SharedMemory());  // [kMaxCandidates]
  const int query = blockIdx.x, found = c.num_found[query];
  if (c.num_groups[query] > kMaxCandidates || found > kMaxCandidates || found < c.width) {
    if (threadIdx.x == 0) *c.problem = 1;
    return;
  }
  int size = 1;
  while (size < found) size *= 2;
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    keys[i] = i < found ? c.found[query * kMaxCandidates + i] : 0;
  }
  for (int length = 2; length <= size; length *= 2) {
    for (int step = length / 2; step > 0; step /= 2) {
      SyncBlock();
      for (int i = threadIdx.x; i < size / 2; i += blockDim.x) {
        const int a = i / step * step * 2 + i % step, b = a + step;
        const bool descending = (a & length) == 0;
        const uint64_t first = keys[a], second = keys[b];
        if (descending == (first < second)) keys[a] = second, keys[b] = first;
      }
    }
  }
  SyncBlock();
  for (int i = threadIdx.x; i < c.width; i += blockDim.x) {
    const int64_t at = static_cast<int64_t>(query) * c.width + i;
    c.scores[at] = OfOrder(static_cast<uint32_t>(keys[i] >> 32));
    c.best[at] = static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(keys[i]));
  }
}

}  // namespace realm::gpu

#endif  // REALM_OPS_TOP_K_GPU_CHOOSE_H_
