// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The scan of a table on a GPU: products of queries and rows on tensor cores, of which only
// the largest of each group of 32 rows is kept, with a bound on how far off it may be.
//
// THE PRODUCT. A query x, scaled by a power of two so that its largest element is in [1, 2),
// is h + l + r: h its elements rounded to bfloat16, l what that loses rounded to bfloat16, r
// the rest, all exact in float. A row d of a float32 table is h' + l' + r' alike, with
// |l'| <= 2^-8 |d| and |r'| <= 2^-16 |d| for each element and so for the norms. Tensor cores
// add h h' + l h' + h l', which are exact in float32, to a float32 sum. For a bfloat16 table
// l' and r' are 0.
//
// THE BOUND. The product s = x d and the sum m of the tensor cores differ by at most
// slope |d|, where the slope of a query gathers:
//
// 1. s - (h h' + l h' + h l') = r d + h r' + l (l' + r'), by Cauchy-Schwarz at most
//    (|r| + 2^-16 |h| + 1.01 2^-8 |l|) |d|; |r|, |h| and |l| are measured in double. Only
//    |r| |d| for a bfloat16 table.
// 2. Rounding in the tensor cores. One instruction adds 16 products to a sum. NVIDIA does
//    not document how; it was measured (Fasi et al. 2021, "Numerical behavior of NVIDIA
//    tensor cores"; Khattak and Mikaitis 2025 for Hopper) that 4 to 16 addends are aligned
//    to the largest and cut to 24 bits or more, then the sum is cut to 24 bits: at most 18
//    units of 2^-23 of the sum of all addends' absolutes, or 4 times 6 units. We ASSUME 32,
//    2^-18, of (|h| + |l|) |h'| + |h| |l'| <= 1.02 |x| |d|, for each of the instructions.
// 3. What is below 2^-126 may count as zero, or be rounded to 2^-133: at most 2^-110 (1 +
//    |d|) in all for D <= 2^13. As slope >= 2^-17, 2^-56 more of |d| is more.
// 4. The double sum that is the score errs by D 2^-52 |x| |d|: within the 1.02 of (2).
//
// The norms |d| are computed in float32 on the way, within a thousandth ("reach"). If a row
// is too long for them, so that sums might overflow, or not finite, its group's bound is
// infinite or NaN and the group is never dropped.

#ifndef REALM_OPS_TOP_K_GPU_SCAN_H_
#define REALM_OPS_TOP_K_GPU_SCAN_H_

#include "ops/top_k_gpu/queries.h"

namespace realm::gpu {

struct Scanned {
  const void* table;  // [rows, depth], pieces of 16 bytes
  int64_t rows;
  int depth;
  const uint4* packed;
  const float* slopes;
  float* maxima;  // [groups, 8 NT]
  float* reach;   // [groups]
  // Of the groups i, i + W, i + 2 W ... of each of W warps: some row of each query has no
  // lower score than `lows`, and no row has a higher one than `highs`.
  float* lows;   // [W, 8 NT]
  float* highs;  // [W, 8 NT]
};

// One chunk of a group of rows on its way to shared memory. Pieces of odd rows change places
// with those four further on, so that eight threads that read two rows meet all banks.
template <typename T>
REALM_DEVICE void CopyStage(const Scanned& s, int64_t group, int chunk, char* stage,
                            int lane) {
  const int64_t stride = static_cast<int64_t>(s.depth) * sizeof(T);
  const int piece = lane % 8, first = lane / 8;
  const int at = chunk * kChunkBytes + piece * kPieceBytes;
  const bool within = at < stride;
  const int64_t left = s.rows - group * kGroupRows - first;
  const char* from =
      static_cast<const char*>(s.table) + (group * kGroupRows + first) * stride + at;
  char* to = stage + first * kChunkBytes + (piece ^ (first % 2 * 4)) * kPieceBytes;
  REALM_UNROLL
  for (int i = 0; i < kGroupRows / 4; ++i) {
    const bool there = within && 4 * i < left;
    CopyLater(to + i * 4 * kChunkBytes, there ? from + i * 4 * stride : s.table,
              there ? kPieceBytes : 0);
  }
}

// What a thread has of 32 rows and 16 columns, as a float or as bits: for each of four rows,
// the pairs of its four columns.
struct Fragment {
  uint32_t high[2][4], low[2][4];
};

// Row i is the lane's i-th: the first or second of matrix i / 2.
REALM_DEVICE void TakePiece(const uint4& piece, int i, Fragment (&f)[1], float* square) {
  const float x[4] = {AsFloat(piece.x), AsFloat(piece.y), AsFloat(piece.z),
                      AsFloat(piece.w)};
  REALM_UNROLL
  for (int pair = 0; pair < 2; ++pair) {
    const float a = x[2 * pair], b = x[2 * pair + 1];
    const uint32_t high = PackBfloat16(a, b);
    f[0].high[i / 2][i % 2 + 2 * pair] = high;
    f[0].low[i / 2][i % 2 + 2 * pair] =
        PackBfloat16(a - AsFloat(high << 16), b - AsFloat(high & 0xffff0000u));
    *square = fmaf(a, a, fmaf(b, b, *square));
  }
}

REALM_DEVICE void TakePiece(const uint4& piece, int i, Fragment (&f)[2], float* square) {
  const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
  REALM_UNROLL
  for (int pair = 0; pair < 4; ++pair) {
    const float a = AsFloat(words[pair] << 16), b = AsFloat(words[pair] & 0xffff0000u);
    f[pair / 2].high[i / 2][i % 2 + pair % 2 * 2] = words[pair];
    *square = fmaf(a, a, fmaf(b, b, *square));
  }
}

// Adds the products of 16 columns to `sums`, of 32 rows and 8 NT queries.
template <bool splits, int NT>
REALM_DEVICE void MultiplyStep(const Fragment& f, const uint4* packed, int lane,
                               float (&sums)[2][NT][4]) {
  constexpr int kTogether = NT < 2 ? 1 : 2;  // so that few wait for the one before
  REALM_UNROLL
  for (int n = 0; n < NT; n += kTogether) {
    uint4 b[kTogether];
    REALM_UNROLL
    for (int j = 0; j < kTogether; ++j) b[j] = packed[(n + j) * 32 + lane];
    REALM_UNROLL
    for (int part = 0; part < (splits ? 3 : 2); ++part) {
      REALM_UNROLL
      for (int j = 0; j < kTogether; ++j) {
        const uint32_t b0 = part == 1 ? b[j].z : b[j].x, b1 = part == 1 ? b[j].w : b[j].y;
        REALM_UNROLL
        for (int m = 0; m < 2; ++m) {
          MultiplyAdd(sums[m][n + j], part == 2 ? f.low[m] : f.high[m], b0, b1);
        }
      }
    }
  }
}

// The largest of 32 rows, for the queries 2 lane and 2 lane + 1 (of lanes below 4 NT).
template <int NT>
REALM_DEVICE float2 MaximaOf(const float (&sums)[2][NT][4], int lane) {
  float v[NT][2];
  REALM_UNROLL
  for (int n = 0; n < NT; ++n) {
    REALM_UNROLL
    for (int j = 0; j < 2; ++j) {
      v[n][j] = MaxOrNan(MaxOrNan(sums[0][n][j], sums[0][n][j + 2]),
                         MaxOrNan(sums[1][n][j], sums[1][n][j + 2]));
    }
  }
  REALM_UNROLL
  for (int mask = 16; mask >= 4; mask /= 2) {
    if (mask < 4 * NT) {  // each of two lanes goes on with half of the queries
      const int half = mask / 4;
      const bool upper = lane & mask;
      REALM_UNROLL
      for (int n = 0; n < half; ++n) {
        REALM_UNROLL
        for (int j = 0; j < 2; ++j) {
          const float kept = upper ? v[n + half][j] : v[n][j];
          const float given = upper ? v[n][j] : v[n + half][j];
          v[n][j] = MaxOrNan(kept, FromLane(given, mask));
        }
      }
    } else {
      REALM_UNROLL
      for (int n = 0; n < NT; ++n) {
        REALM_UNROLL
        for (int j = 0; j < 2; ++j) v[n][j] = MaxOrNan(v[n][j], FromLane(v[n][j], mask));
      }
    }
  }
  return float2{v[0][0], v[0][1]};
}

// No less than the norms of 32 rows, from what lanes have of four rows' squares.
REALM_DEVICE float ReachOf(const float (&squares)[4]) {
  float largest = 0;
  REALM_UNROLL
  for (int i = 0; i < 4; ++i) {
    float sum = squares[i];
    sum += FromLane(sum, 1);
    sum += FromLane(sum, 2);
    largest = MaxOrNan(largest, sum);
  }
  REALM_UNROLL
  for (int mask = 4; mask <= 16; mask *= 2) {
    largest = MaxOrNan(largest, FromLane(largest, mask));
  }
  return fmaf(sqrtf(largest), 1.001f, 0x1p-56f);
}

// Rows beyond the table are zeros in shared memory, and must not win.
template <int NT>
REALM_DEVICE void DropRows(int64_t left, int lane, float (&sums)[2][NT][4]) {
  REALM_UNROLL
  for (int m = 0; m < 2; ++m) {
    REALM_UNROLL
    for (int n = 0; n < NT; ++n) {
      REALM_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (m * 16 + i / 2 * 8 + lane / 4 >= left) sums[m][n][i] = -INFINITY;
      }
    }
  }
}

// Shared memory: the packed queries, then kStages stages for each warp.
template <typename T, int NT, int kWarps, int kStages>
REALM_KERNEL REALM_THREADS(kWarps * 32) void Scan(Scanned s) {
  constexpr int kPieces = kChunkBytes / kPieceBytes / 4;  // of a chunk, for each thread
  const int lane = threadIdx.x % 32;
  const int warp = blockIdx.x * kWarps + threadIdx.x / 32, warps = gridDim.x * kWarps;
  const int chunks = Columns<T>::Chunks(s.depth), steps = Columns<T>::StepsOf(s.depth);
  auto* packed = reinterpret_cast<uint4*>(SharedMemory());
  for (int i = threadIdx.x; i < steps * NT * 32; i += kWarps * 32) packed[i] = s.packed[i];
  char* stages = SharedMemory() + steps * NT * 512 + threadIdx.x / 32 * kStages * kStageBytes;
  SyncBlock();

  const bool writes = lane < 4 * NT;
  const float slopes[2] = {writes ? s.slopes[2 * lane] : 0.0f,
                           writes ? s.slopes[2 * lane + 1] : 0.0f};
  float lows[2] = {-INFINITY, -INFINITY}, highs[2] = {-INFINITY, -INFINITY};
  const int64_t groups = (s.rows + kGroupRows - 1) / kGroupRows;
  int64_t next_group = warp;
  int next_chunk = 0, next_stage = 0, stage = 0;
  const auto copy_next = [&] {
    if (next_group < groups) {
      CopyStage<T>(s, next_group, next_chunk, stages + next_stage * kStageBytes, lane);
      if (++next_chunk == chunks) next_chunk = 0, next_group += warps;
      if (++next_stage == kStages) next_stage = 0;
    }
    EndGroupOfCopies();
  };
  for (int i = 0; i < kStages - 1; ++i) copy_next();

  for (int64_t group = warp; group < groups; group += warps) {
    float sums[2][NT][4] = {}, squares[4] = {};
    for (int chunk = 0; chunk < chunks; ++chunk) {
      WaitForCopies<kStages - 2>();
      SyncWarp();  // all have copied this stage, and are done with the one before
      copy_next();
      const char* rows = stages + stage * kStageBytes;
      REALM_UNROLL
      for (int p = 0; p < kPieces; ++p) {
        Fragment f[Columns<T>::kSteps];
        REALM_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int row = i * 8 + lane / 4;
          const int piece = (p * 4 + lane % 4) ^ (row % 2 * 4);
          TakePiece(*reinterpret_cast<const uint4*>(rows + row * kChunkBytes +
                                                    piece * kPieceBytes),
                    i, f, &squares[i]);
        }
        REALM_UNROLL
        for (int k = 0; k < Columns<T>::kSteps; ++k) {
          const int step = (chunk * kPieces + p) * Columns<T>::kSteps + k;
          MultiplyStep<sizeof(T) == 4>(f[k], packed + step * NT * 32, lane, sums);
        }
      }
      if (++stage == kStages) stage = 0;
    }
    const int64_t left = s.rows - group * kGroupRows;
    if (left < kGroupRows) DropRows(left, lane, sums);
    const float reach = ReachOf(squares);
    const float2 best = MaximaOf(sums, lane);
    if (writes) {
      *reinterpret_cast<float2*>(s.maxima + group * (8 * NT) + 2 * lane) = best;
      if (lane == 0) s.reach[group] = reach;
      const float both[2] = {best.x, best.y};
      REALM_UNROLL
      for (int j = 0; j < 2; ++j) {
        const float low = fmaf(-slopes[j], reach, both[j]);
        if (low > lows[j]) lows[j] = low;  // NaN is not
        highs[j] = MaxOrNan(highs[j], fmaf(slopes[j], reach, both[j]));
      }
    }
  }
  if (writes) {
    float* at = s.lows + static_cast<int64_t>(warp) * 8 * NT + 2 * lane;
    at[0] = lows[0], at[1] = lows[1];
    at = s.highs + static_cast<int64_t>(warp) * 8 * NT + 2 * lane;
    at[0] = highs[0], at[1] = highs[1];
  }
}

}  // namespace realm::gpu

#endif  // REALM_OPS_TOP_K_GPU_SCAN_H_
