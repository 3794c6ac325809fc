// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Rows in bfloat16, for the scanners that round: read where they lie in a bfloat16
// table, and rounded block by block from a float32 one. Needs AVX512_BF16; internal
// linkage, for the reason given in scan.h.

#ifndef REALM_OPS_TOP_K_SCAN_ROUNDED_H_
#define REALM_OPS_TOP_K_SCAN_ROUNDED_H_

#include <immintrin.h>

#include "ops/top_k/fold.h"
#include "ops/top_k/scan.h"

namespace realm {
namespace {

inline int64_t Padded(int64_t depth) {
  return (depth + kTileDepth - 1) / kTileDepth * kTileDepth;
}

// `n` values from `in` in bfloat16, to nearest, and zeros up to `padded`.
void RoundRow(const float* in, int64_t n, int64_t padded, uint16_t* out) {
  for (int64_t d = 0; d < padded; d += kTileDepth) {
    __m512 half[2];
    for (int i = 0; i < 2; ++i) {
      const int64_t left = n - d - 16 * i;
      const __mmask16 mask = left >= 16  ? 0xffff
                             : left <= 0 ? 0
                                         : (1u << left) - 1;
      half[i] = _mm512_maskz_loadu_ps(mask, in + d + 16 * i);
    }
    const __m512bh rounded = _mm512_cvtne2ps_pbh(half[1], half[0]);
    _mm512_storeu_si512(out + d, (__m512i)rounded);
  }
}

// The largest squared norm of kStrip rows. One that is not a number does not count:
// nor are its products, and so they are never dropped.
inline float LargestSquare(const uint16_t* rows, int64_t padded) {
  __m512 sums[kStrip];
#pragma GCC unroll 16
  for (int r = 0; r < kStrip; ++r) {
    sums[r] = _mm512_setzero_ps();
    for (int64_t d = 0; d < padded; d += kTileDepth) {
      const __m512bh x = (__m512bh)_mm512_loadu_si512(rows + r * padded + d);
      sums[r] = _mm512_dpbf16_ps(sums[r], x, x);
    }
  }
  const __m512 squares = SumEach(sums);
  float most = 0;
  for (int r = 0; r < kStrip; ++r) most = squares[r] > most ? squares[r] : most;
  return most;
}

// Writes those lanes of a row whose bits are set after `count` others, without a
// branch, and counts them in.
inline int AddHits(__mmask16 bits, __m512 scores, int lane, int64_t row, int count,
                   Hits* hits) {
  const __m512i lanes =
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i pairs =
      _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(256 * row + lane)));
  _mm512_storeu_si512(hits->pairs + count,
                      _mm512_maskz_compress_epi32(bits, pairs));
  _mm512_storeu_ps(hits->scores + count, _mm512_maskz_compress_ps(bits, scores));
  return count + __builtin_popcount(bits);
}

// What no squared norm of kStrip rows exceeds: that of their largest magnitudes, about
// four times the largest, at half the cost. Where the table is not rounded, and so the
// error is small, it lets little more through. The magnitudes of what is not a number are
// the largest of all.
inline float SquareBound(const uint16_t* rows, int64_t padded) {
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t d = 0; d < padded; d += kTileDepth) {
    __m512i most[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
#pragma GCC unroll 16
    for (int r = 0; r < kStrip; ++r) {
      const __m512i x = _mm512_loadu_si512(rows + r * padded + d);
      most[r % 2] = _mm512_max_epu16(most[r % 2], _mm512_and_si512(x, magnitude));
    }
    const __m512bh all = (__m512bh)_mm512_max_epu16(most[0], most[1]);
    sum = _mm512_dpbf16_ps(sum, all, all);
  }
  return _mm512_reduce_add_ps(sum);
}

// While a panel is scanned, has what is read next brought to the cache, in steps: a core
// can wait for few lines at once, and tiles that are loaded then wait behind them. Places
// far apart are read in turns, which memory answers sooner.
class Fetcher {
 public:
  Fetcher(const Panel& panel, int64_t steps)
      : next_(panel.fetch),
        apart_(panel.fetch_bytes / (kPlaces * 64) * 64),
        left_(apart_ / 64 * kPlaces),
        per_step_(steps > 0 ? (left_ + steps - 1) / steps : 0) {}  // no depth, no steps

  void Step() {
    int64_t count = left_ < per_step_ ? left_ : per_step_;
    left_ -= count;
    for (; count > 0; --count) {
      __builtin_prefetch(next_ + place_ * apart_, 0, 2);
      if (++place_ < kPlaces) continue;
      place_ = 0;
      next_ += 64;
    }
  }

 private:
  static constexpr int64_t kPlaces = 8;
  const char* next_;
  const int64_t apart_;
  int64_t left_;  // lines
  const int64_t per_step_;
  int64_t place_ = 0;
};

void RoundedLoad(const void* rows, Element element, int64_t count, int64_t depth,
                 void* scratch, RowBlock* block) {
  const int64_t padded = Padded(depth);
  block->count = (count + kStrip - 1) / kStrip * kStrip;
  block->stride = padded;
  block->rows = scratch;
  uint16_t* out = static_cast<uint16_t*>(scratch);
  if (element == Element::kFloat32) {
    const float* in = static_cast<const float*>(rows);
    for (int64_t i = 0; i < count; ++i) {
      RoundRow(in + i * depth, depth, padded, out + i * padded);
    }
  } else if (depth == padded && count == block->count) {
    block->rows = rows;
  } else {
    const uint16_t* in = static_cast<const uint16_t*>(rows);
    for (int64_t i = 0; i < count; ++i) {
      __builtin_memcpy(out + i * padded, in + i * depth, 2 * depth);
      __builtin_memset(out + i * padded + depth, 0, 2 * (padded - depth));
    }
  }
  if (block->rows == scratch) {
    __builtin_memset(out + count * padded, 0,
                     2 * padded * (block->count - count));
  }
  // The norms of rounded rows stand for the rows': BoundFor allows for it.
  const uint16_t* in = static_cast<const uint16_t*>(block->rows);
  for (int64_t i = 0; i < block->count; i += kStrip) {
    block->squares[i / kStrip] = element == Element::kFloat32
                                     ? LargestSquare(in + i * padded, padded)
                                     : SquareBound(in + i * padded, padded);
  }
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TOP_K_SCAN_ROUNDED_H_
