// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The rounding scan, on AVX512_BF16: pairs of bfloat16 values, twice as many
// multiplications in an instruction as the float scan has. Same panels as AMX.

#include "ops/top_k/scan_rounded.h"

namespace realm {
namespace {

// kRows * 3 sums, three of the panel and one of the table fit into 32 registers.
constexpr int kRows = 8;

inline __m512bh BroadcastPair(const uint16_t* pair) {
  int32_t bits;
  __builtin_memcpy(&bits, pair, sizeof(bits));
  return (__m512bh)_mm512_set1_epi32(bits);
}

template <int kStrips>
inline void ScanRows(const uint16_t* rows, int64_t padded, const Panel& panel,
                     float reach, int64_t first, const HitSink& sink) {
  const uint16_t* tile = static_cast<const uint16_t*>(panel.queries);
  __m512 sums[kRows][kStrips];
  for (int r = 0; r < kRows; ++r) {
    for (int s = 0; s < kStrips; ++s) sums[r][s] = _mm512_setzero_ps();
  }
  for (int64_t d = 0; d < padded; d += kTileDepth) {
    for (int pair = 0; pair < kTileDepth / 2; ++pair) {
      __m512bh q[kStrips];
      for (int s = 0; s < kStrips; ++s) {
        q[s] = (__m512bh)_mm512_loadu_si512(tile + (s * 16 + pair) * 2 * kStrip);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const __m512bh x = BroadcastPair(rows + r * padded + d + 2 * pair);
#pragma GCC unroll 3
        for (int s = 0; s < kStrips; ++s) {
          sums[r][s] = _mm512_dpbf16_ps(sums[r][s], q[s], x);
        }
      }
    }
    tile += kStrips * kTileDepth * kStrip;
  }
  unsigned bits[kRows][kStrips], any = 0;
  for (int s = 0; s < kStrips; ++s) {
    const __m512 threshold = _mm512_fnmadd_ps(
        _mm512_loadu_ps(panel.slope + s * kStrip), _mm512_set1_ps(reach),
        _mm512_loadu_ps(panel.cut + s * kStrip));
    for (int r = 0; r < kRows; ++r) {
      any |= bits[r][s] =
          _mm512_cmp_ps_mask(sums[r][s], threshold, _CMP_NLT_UQ);
    }
  }
  if (__builtin_expect(any == 0, 1)) return;
  Hits hits;
  for (int r = 0; r < kRows; ++r) {
    for (int s = 0; s < kStrips; ++s) {
      hits.count =
          AddHits(bits[r][s], sums[r][s], s * kStrip, first + r, hits.count, &hits);
    }
  }
  sink.take(sink.self, hits);
}

template <int kStrips>
void ScanBlock(const RowBlock& block, const Panel& panel, const HitSink& sink) {
  const uint16_t* rows = static_cast<const uint16_t*>(block.rows);
  Fetcher fetcher(panel, block.count / kRows);
  for (int64_t i = 0; i < block.count; i += kRows) {
    ScanRows<kStrips>(rows + i * block.stride, block.stride, panel,
                      block.reach[i / kStrip], i, sink);
    fetcher.Step();
  }
}

void Scan(const RowBlock& block, int64_t /*depth*/, const Panel& panel,
          const HitSink& sink) {
  switch (panel.strips) {
    case 1: return ScanBlock<1>(block, panel, sink);
    case 2: return ScanBlock<2>(block, panel, sink);
    default: return ScanBlock<3>(block, panel, sink);
  }
}

}  // namespace

const Scanner kAvx512Bf16Scanner = {
    /*rounds=*/true,   /*max_strips=*/3,        /*enter=*/nullptr,
    /*leave=*/nullptr, RoundedLoad,             Scan,
    /*score=*/nullptr, /*score_codes=*/nullptr, /*filter=*/nullptr,
    /*dot=*/nullptr,
};

}  // namespace realm
