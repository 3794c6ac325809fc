// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Queries as the scan of a table wants them (scan.h, which says why): split into bfloat16, in
// the order of the instructions, with the slopes of their bounds.

#ifndef REALM_OPS_TOP_K_GPU_QUERIES_H_
#define REALM_OPS_TOP_K_GPU_QUERIES_H_

#include "ops/top_k_gpu/device.h"

namespace realm::gpu {

struct Bfloat16 {
  uint16_t bits;
};

constexpr int kGroupRows = 32;    // of which only the largest score is kept
constexpr int kPieceBytes = 16;   // of a row, for one thread at a time
constexpr int kChunkBytes = 128;  // of a row, copied to shared memory at a time
constexpr int kStageBytes = kGroupRows * kChunkBytes;
constexpr int kMaxDepth = 8192;

// An instruction multiplies 16 columns. They may be any, if they are the same for rows and
// queries, so thread t of four has the columns of one or two steps in one piece.
template <typename T>
struct Columns {
  static constexpr int kPerPiece = kPieceBytes / sizeof(T);
  static constexpr int kSteps = kPerPiece / 4;  // per piece
  static constexpr int kPerChunk = kChunkBytes / sizeof(T);

  REALM_HOST_DEVICE static int First(int step, int t) {
    return step / kSteps * (16 * kSteps) + t * kPerPiece + step % kSteps * 4;
  }
  REALM_HOST_DEVICE static int Chunks(int depth) {
    return (depth + kPerChunk - 1) / kPerChunk;
  }
  REALM_HOST_DEVICE static int StepsOf(int depth) { return Chunks(depth) * (kPerChunk / 16); }
};

struct Queries {
  const float* values;  // [count, depth]
  int count, depth;
  uint4* packed;      // [steps, NT, 32]: two words of h and two of l, as instructions want
  float* slopes;      // [8 NT]
  int32_t* exponents;  // [8 NT]: a query is scaled by 2^-exponent
};

REALM_DEVICE double SumOfWarp(double x) {
  for (int mask = 16; mask > 0; mask /= 2) x += FromLane(x, mask);
  return x;
}

// A warp for each of 8 NT queries; those beyond `count` are zeros.
template <typename T, int NT>
REALM_KERNEL void Prepare(Queries q) {
  const int query = blockIdx.x, lane = threadIdx.x;
  const bool there = query < q.count;
  const float* values = q.values + static_cast<int64_t>(there ? query : 0) * q.depth;
  float largest = 0;
  for (int i = lane; i < q.depth; i += 32) largest = MaxOrNan(largest, fabsf(values[i]));
  for (int mask = 16; mask > 0; mask /= 2) {
    largest = MaxOrNan(largest, FromLane(largest, mask));
  }
  const bool scalable = largest > 0 && largest < INFINITY;
  const int exponent = scalable ? ilogbf(largest) : 0;
  const int steps = Columns<T>::StepsOf(q.depth);
  double whole = 0, high = 0, low = 0, rest = 0;
  for (int i = lane; i < steps * 4; i += 32) {
    const int first = Columns<T>::First(i / 4, i % 4);
    uint32_t words[4];
    for (int pair = 0; pair < 2; ++pair) {
      float x[2], h[2], l[2];
      for (int j = 0; j < 2; ++j) {
        const int column = first + 2 * pair + j;
        x[j] = there && column < q.depth ? scalbnf(values[column], -exponent) : 0.0f;
      }
      words[pair] = PackBfloat16(x[0], x[1]);
      h[0] = AsFloat(words[pair] << 16), h[1] = AsFloat(words[pair] & 0xffff0000u);
      words[2 + pair] = PackBfloat16(x[0] - h[0], x[1] - h[1]);
      l[0] = AsFloat(words[2 + pair] << 16), l[1] = AsFloat(words[2 + pair] & 0xffff0000u);
      for (int j = 0; j < 2; ++j) {
        const double r = static_cast<double>(x[j]) - h[j] - l[j];
        whole += static_cast<double>(x[j]) * x[j];
        high += static_cast<double>(h[j]) * h[j];
        low += static_cast<double>(l[j]) * l[j];
        rest += r * r;
      }
    }
    q.packed[((i / 4) * NT + query / 8) * 32 + query % 8 * 4 + i % 4] =
        uint4{words[0], words[1], words[2], words[3]};
  }
  whole = sqrt(SumOfWarp(whole)), high = sqrt(SumOfWarp(high));
  low = sqrt(SumOfWarp(low)), rest = sqrt(SumOfWarp(rest));
  if (lane == 0) {
    const bool rounds = sizeof(T) == 4;
    const double lost = rest + (rounds ? 0x1p-16 * high + 1.01 * 0x1p-8 * low : 0.0);
    const double summed = (rounds ? 3 : 2) * steps * 0x1p-18 * 1.02 * whole;
    q.slopes[query] = static_cast<float>((lost + summed) * (1 + 0x1p-20));
    q.exponents[query] = exponent;
  }
}

}  // namespace realm::gpu

#endif  // REALM_OPS_TOP_K_GPU_QUERIES_H_
