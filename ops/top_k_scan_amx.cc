// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The rounding scan, on matrix tiles (AMX): 16 rows by 16 queries in one
// register, 8,192 multiplications in an instruction. Rows are read where they
// lie in a bfloat16 table, and rounded block by block from a float32 one.

#include <immintrin.h>

#include "top_k_scan.h"

namespace realm {
namespace {

// Tiles 0-3 hold sums (row tile major), 4-5 rows, 6-7 queries.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Static, as compilers take the intrinsic to read but the first eight bytes.
constexpr TileConfig kTileConfig;

void Enter() { _tile_loadconfig(&kTileConfig); }

void Leave() { _tile_release(); }

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

inline float SquaredNorm(const uint16_t* row, int64_t padded) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t d = 0; d < padded; d += kTileDepth) {
    const __m512bh x = (__m512bh)_mm512_loadu_si512(row + d);
    sum = _mm512_dpbf16_ps(sum, x, x);
  }
  return _mm512_reduce_add_ps(sum);
}

void Load(const void* rows, Element element, int64_t count, int64_t depth,
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
  for (int64_t i = 0; i < block->count; ++i) {
    float* square = block->squares + i / kStrip;
    const float norm = SquaredNorm(in + i * padded, padded);
    if (i % kStrip == 0 || norm > *square) *square = norm;
  }
}

// sums[row tile][strip][row][query] = rows x queries.
template <int kRowTiles, int kStrips>
inline void Multiply(const uint16_t* rows, int64_t padded,
                     const uint16_t* queries, float* sums) {
  constexpr int kTile = kStrip * kStrip;
  asm volatile("" ::: "memory");  // what the tiles read has been written
  _tile_zero(0);
  if constexpr (kStrips > 1) _tile_zero(1);
  if constexpr (kRowTiles > 1) _tile_zero(2);
  if constexpr (kRowTiles > 1 && kStrips > 1) _tile_zero(3);
  for (int64_t d = 0; d < padded; d += kTileDepth) {
    _tile_loadd(4, rows + d, 2 * padded);
    _tile_loadd(6, queries, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kStrips > 1) {
      _tile_loadd(7, queries + kTileDepth * kStrip, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRowTiles > 1) {
      _tile_loadd(5, rows + kStrip * padded + d, 2 * padded);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kStrips > 1) _tile_dpbf16ps(3, 5, 7);
    }
    queries += kStrips * kTileDepth * kStrip;
  }
  _tile_stored(0, sums, 64);
  if constexpr (kStrips > 1) _tile_stored(1, sums + kTile, 64);
  if constexpr (kRowTiles > 1) _tile_stored(2, sums + kStrips * kTile, 64);
  if constexpr (kRowTiles > 1 && kStrips > 1) {
    _tile_stored(3, sums + 3 * kTile, 64);
  }
  asm volatile("" ::: "memory");
}

// Reports the pairs of one tile of sums that are not below the threshold.
inline void Filter(const float* sums, __m512 threshold, int lane, int64_t row,
                   const HitSink& sink) {
  // "Not less" is "not (less and less and ...)": four chains of masked compares.
  __mmask16 less[4] = {0xffff, 0xffff, 0xffff, 0xffff};
#pragma GCC unroll 16
  for (int i = 0; i < kStrip; ++i) {
    less[i % 4] = _mm512_mask_cmp_ps_mask(
        less[i % 4], _mm512_load_ps(sums + i * kStrip), threshold, _CMP_LT_OQ);
  }
  const unsigned all = less[0] & less[1] & less[2] & less[3];
  if (__builtin_expect(all == 0xffff, 1)) return;
  for (int i = 0; i < kStrip; ++i) {
    unsigned bits = _mm512_cmp_ps_mask(_mm512_load_ps(sums + i * kStrip),
                                       threshold, _CMP_NLT_UQ);
    for (; bits != 0; bits &= bits - 1) {
      sink.hit(sink.self, lane + __builtin_ctz(bits), row + i);
    }
  }
}

template <int kRowTiles, int kStrips>
inline void ScanTiles(const RowBlock& block, int64_t row, const Panel& panel,
                      const HitSink& sink) {
  alignas(64) float sums[kRowTiles * kStrips * kStrip * kStrip];
  Multiply<kRowTiles, kStrips>(
      static_cast<const uint16_t*>(block.rows) + row * block.stride,
      block.stride, static_cast<const uint16_t*>(panel.queries), sums);
  for (int i = 0; i < kRowTiles; ++i) {
    const __m512 reach = _mm512_set1_ps(block.reach[row / kStrip + i]);
    for (int s = 0; s < kStrips; ++s) {
      const __m512 threshold = _mm512_fnmadd_ps(
          _mm512_loadu_ps(panel.slope + s * kStrip), reach,
          _mm512_loadu_ps(panel.cut + s * kStrip));
      Filter(sums + (i * kStrips + s) * kStrip * kStrip, threshold, s * kStrip,
             row + i * kStrip, sink);
    }
  }
}

template <int kStrips>
void ScanBlock(const RowBlock& block, const Panel& panel, const HitSink& sink) {
  int64_t row = 0;
  for (; row + 2 * kStrip <= block.count; row += 2 * kStrip) {
    ScanTiles<2, kStrips>(block, row, panel, sink);
  }
  if (row < block.count) ScanTiles<1, kStrips>(block, row, panel, sink);
}

void Scan(const RowBlock& block, int64_t /*depth*/, const Panel& panel,
          const HitSink& sink) {
  if (panel.strips == 2) {
    ScanBlock<2>(block, panel, sink);
  } else {
    ScanBlock<1>(block, panel, sink);
  }
}

// Every CPU with matrix tiles has AVX-512.
double Dot(const float* query, const void* row, Element element,
           int64_t depth) {
  return kAvx512Scanner.dot(query, row, element, depth);
}

}  // namespace

const Scanner kAmxScanner = {
    /*rounds=*/true, /*max_strips=*/2, Enter, Leave, Load, Scan, Dot,
};

}  // namespace realm
