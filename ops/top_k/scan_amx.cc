// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The rounding scan, on matrix tiles (AMX): 16 rows by 16 queries in one
// register, 8,192 multiplications in an instruction.

#include "ops/common/amx_tiles.h"
#include "ops/top_k/scan_rounded.h"

namespace realm {
namespace {

// Tiles 0-3 hold sums (row tile major), 4-5 rows, 6-7 queries.

// sums[row tile][strip][row][query] = rows x queries.
template <int kRowTiles, int kStrips>
inline void Multiply(const uint16_t* rows, int64_t padded, const uint16_t* queries,
                     float* sums, Fetcher* fetcher) {
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
    fetcher->Step();
  }
  _tile_stored(0, sums, 64);
  if constexpr (kStrips > 1) _tile_stored(1, sums + kTile, 64);
  if constexpr (kRowTiles > 1) _tile_stored(2, sums + kStrips * kTile, 64);
  if constexpr (kRowTiles > 1 && kStrips > 1) {
    _tile_stored(3, sums + 3 * kTile, 64);
  }
  asm volatile("" ::: "memory");
}

// Adds the pairs of one tile of sums that are not below the threshold.
inline void Filter(const float* sums, __m512 threshold, int lane, int64_t row,
                   Hits* hits) {
  // "Not less" is "not (less and less and ...)": four chains of masked compares.
  __mmask16 less[4] = {0xffff, 0xffff, 0xffff, 0xffff};
#pragma GCC unroll 16
  for (int i = 0; i < kStrip; ++i) {
    less[i % 4] = _mm512_mask_cmp_ps_mask(
        less[i % 4], _mm512_load_ps(sums + i * kStrip), threshold, _CMP_LT_OQ);
  }
  const unsigned all = less[0] & less[1] & less[2] & less[3];
  if (__builtin_expect(all == 0xffff, 1)) return;
  int count = hits->count;
  for (int i = 0; i < kStrip; ++i) {
    const __m512 scores = _mm512_load_ps(sums + i * kStrip);
    count = AddHits(_mm512_cmp_ps_mask(scores, threshold, _CMP_NLT_UQ), scores, lane,
                    row + i, count, hits);
  }
  hits->count = count;
}

template <int kRowTiles, int kStrips>
inline void ScanTiles(const RowBlock& block, int64_t row, const Panel& panel,
                      const HitSink& sink, Fetcher* fetcher) {
  alignas(64) float sums[kRowTiles * kStrips * kStrip * kStrip];
  Multiply<kRowTiles, kStrips>(
      static_cast<const uint16_t*>(block.rows) + row * block.stride,
      block.stride, static_cast<const uint16_t*>(panel.queries), sums, fetcher);
  Hits hits;
  for (int i = 0; i < kRowTiles; ++i) {
    const __m512 reach = _mm512_set1_ps(block.reach[row / kStrip + i]);
    for (int s = 0; s < kStrips; ++s) {
      const __m512 threshold = _mm512_fnmadd_ps(
          _mm512_loadu_ps(panel.slope + s * kStrip), reach,
          _mm512_loadu_ps(panel.cut + s * kStrip));
      Filter(sums + (i * kStrips + s) * kStrip * kStrip, threshold, s * kStrip,
             row + i * kStrip, &hits);
    }
  }
  if (hits.count > 0) sink.take(sink.self, hits);
}

template <int kStrips>
void ScanBlock(const RowBlock& block, const Panel& panel, const HitSink& sink) {
  const int64_t pairs = (block.count / kStrip + 1) / 2;
  Fetcher fetcher(panel, pairs * (block.stride / kTileDepth));
  int64_t row = 0;
  for (; row + 2 * kStrip <= block.count; row += 2 * kStrip) {
    ScanTiles<2, kStrips>(block, row, panel, sink, &fetcher);
  }
  if (row < block.count) ScanTiles<1, kStrips>(block, row, panel, sink, &fetcher);
}

void Scan(const RowBlock& block, int64_t /*depth*/, const Panel& panel,
          const HitSink& sink) {
  if (panel.strips == 2) {
    ScanBlock<2>(block, panel, sink);
  } else {
    ScanBlock<1>(block, panel, sink);
  }
}

}  // namespace

const Scanner kAmxScanner = {
    /*rounds=*/true, /*max_strips=*/2, EnterTiles, LeaveTiles, RoundedLoad, Scan,
    /*score=*/nullptr, /*score_codes=*/nullptr, /*filter=*/nullptr,
    /*dot=*/nullptr,
};

}  // namespace realm
