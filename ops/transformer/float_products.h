// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The `Products` (see attention.h) of all instruction sets that have no tiles: in float32.

#ifndef REALM_OPS_TRANSFORMER_FLOAT_PRODUCTS_H_
#define REALM_OPS_TRANSFORMER_FLOAT_PRODUCTS_H_

#include "ops/transformer/head_rows.h"
#include "ops/transformer/lanes.h"

namespace realm {
namespace {

// Products in float32.
struct FloatProducts {
  using Value = float;
  static void Enter() {}
  static void Leave() {}

  static const float* Columns(const float* rows, int64_t count, int64_t width, float* to) {
    Transpose(rows, count, width, to);
    return to;
  }

  static const float* Rows(const float* rows, int64_t, int64_t, float*) { return rows; }

  static void Turn(const float* rows, int64_t count, int64_t width, float* to, float*) {
    Transpose(rows, count, width, to);
  }

  // sums[32, n] = left[32, depth] right[depth, n]; n and depth are multiples of 32.
  static void Multiply(const float* left, int64_t left_stride, const float* right,
                       int64_t right_stride, float* sums, int64_t stride, int64_t n,
                       int64_t depth) {
    constexpr int kRows = 4, kStrips = 2;
    for (int64_t column = 0; column < n; column += kStrips * kLanes) {
      for (int64_t row = 0; row < kBlock; row += kRows) {
        Lanes total[kRows][kStrips] = {};
        const float* a = left + row * left_stride;
        const float* b = right + column;
        for (int64_t d = 0; d < depth; ++d, b += right_stride) {
          Lanes strip[kStrips];
          for (int i = 0; i < kStrips; ++i) strip[i] = Load(b + i * kLanes);
          for (int r = 0; r < kRows; ++r) {
            const Lanes value = All(a[r * left_stride + d]);
            for (int i = 0; i < kStrips; ++i) total[r][i] += value * strip[i];
          }
        }
        for (int r = 0; r < kRows; ++r) {
          for (int i = 0; i < kStrips; ++i) {
            Store(sums + (row + r) * stride + column + i * kLanes, total[r][i]);
          }
        }
      }
    }
  }
};

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_FLOAT_PRODUCTS_H_
