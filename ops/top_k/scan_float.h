// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The float scan, written once in the compiler's vector types and compiled once
// per instruction set: include it in one source file per set of flags. All of
// it has internal linkage, for the reason given in scan.h.

#ifndef REALM_OPS_TOP_K_SCAN_FLOAT_H_
#define REALM_OPS_TOP_K_SCAN_FLOAT_H_

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <utility>

#include "ops/top_k/scan.h"

namespace realm {
namespace {

// Registers: kRows * kMaxVectors sums, kMaxVectors of the panel and one of the
// table fit into 32 (AVX-512) or 16 (the others).
#if defined(__AVX512F__)
constexpr int kWidth = 16, kRows = 8, kFloatStrips = 3;
#elif defined(__AVX2__)
constexpr int kWidth = 8, kRows = 4, kFloatStrips = 1;
#else
constexpr int kWidth = 4, kRows = 2, kFloatStrips = 1;
#endif
constexpr int kVectorsPerStrip = kStrip / kWidth;
constexpr int kHalf = kWidth / 2;

typedef float Floats __attribute__((vector_size(kWidth * 4)));
typedef float HalfFloats __attribute__((vector_size(kHalf * 4)));
typedef double Doubles __attribute__((vector_size(kHalf * 8)));
typedef uint32_t HalfWords __attribute__((vector_size(kHalf * 4)));
typedef uint16_t HalfShorts __attribute__((vector_size(kHalf * 2)));

inline Floats LoadFloats(const float* p) {
  Floats v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

inline Floats Broadcast(float x) { return x - Floats{}; }

// One bit per lane where x is not below y (so also where either is NaN).
inline unsigned NotLess(Floats x, Floats y) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(x, y, _CMP_NLT_UQ);
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_NLT_UQ));
#else
  unsigned bits = 0;
  for (int i = 0; i < kWidth; ++i) bits |= unsigned{!(x[i] < y[i])} << i;
  return bits;
#endif
}

// Adds those lanes of a row whose bits are set.
inline void AddHits(unsigned bits, Floats scores, int lane, int64_t row, Hits* hits) {
  for (; bits != 0; bits &= bits - 1) {
    const int i = __builtin_ctz(bits);
    hits->pairs[hits->count] = static_cast<int32_t>(256 * row + lane + i);
    hits->scores[hits->count++] = scores[i];
  }
}

inline Doubles LoadDoubles(const double* p) {
  Doubles v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

inline HalfFloats LoadHalf(const float* p) {
  HalfFloats v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

// bfloat16 is the upper half of a float32. Compilers make detours of what is one
// instruction each here and in Widen.
inline HalfFloats LoadHalf(const uint16_t* p) {
  HalfShorts v;
  __builtin_memcpy(&v, p, sizeof(v));
#if defined(__AVX512F__)
  return (HalfFloats)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)v), 16);
#else
  return (HalfFloats)(__builtin_convertvector(v, HalfWords) << 16);
#endif
}

inline Doubles Widen(HalfFloats v) {
#if defined(__AVX512F__)
  return _mm512_cvtps_pd((__m256)v);
#elif defined(__AVX2__)
  return _mm256_cvtps_pd((__m128)v);
#else
  return __builtin_convertvector(v, Doubles);
#endif
}

template <int kBy, int... kLanes>
inline Doubles Rotate(Doubles v, std::integer_sequence<int, kLanes...>) {
  return __builtin_shufflevector(v, v, ((kLanes + kBy) % kHalf)...);
}

// The upper half of the first kCount lanes added to the lower, until one is left.
template <int kCount = kHalf>
inline double SumHalves(Doubles v) {
  constexpr std::make_integer_sequence<int, kHalf> kLanes;
  v += Rotate<kCount / 2>(v, kLanes);
  if constexpr (kCount > 2) return SumHalves<kCount / 2>(v);
  return v[0];
}

template <typename T>
double DotOf(const double* query, const T* row, int64_t depth) {
  constexpr int kSums = 16, kVectors = kSums / kHalf;
  Doubles sums[kVectors] = {};
  const int64_t whole = depth / kSums * kSums;
  for (int64_t d = 0; d < whole; d += kSums) {
    for (int v = 0; v < kVectors; ++v) {
      sums[v] += LoadDoubles(query + d + v * kHalf) *
                 Widen(LoadHalf(row + d + v * kHalf));
    }
  }
  if (whole < depth) {
    T rest[kSums] = {};
    __builtin_memcpy(rest, row + whole, (depth - whole) * sizeof(T));
    for (int v = 0; v < kVectors; ++v) {
      sums[v] += LoadDoubles(query + whole + v * kHalf) *
                 Widen(LoadHalf(rest + v * kHalf));
    }
  }
  for (int half = kVectors / 2; half > 0; half /= 2) {
    for (int v = 0; v < half; ++v) sums[v] += sums[v + half];
  }
  return SumHalves(sums[0]);
}

double FloatDot(const double* query, const void* row, Element element,
                int64_t depth) {
  return element == Element::kFloat32
             ? DotOf(query, static_cast<const float*>(row), depth)
             : DotOf(query, static_cast<const uint16_t*>(row), depth);
}

float SquaredNorm(const float* row, int64_t depth) {
  Floats sums[kVectorsPerStrip] = {};
  const int64_t whole = depth / kStrip * kStrip;
  for (int64_t d = 0; d < whole; d += kStrip) {
    for (int v = 0; v < kVectorsPerStrip; ++v) {
      const Floats x = LoadFloats(row + d + v * kWidth);
      sums[v] += x * x;
    }
  }
  float lanes[kStrip], total = 0;
  __builtin_memcpy(lanes, sums, sizeof(lanes));
  for (int i = 0; i < kStrip; ++i) total += lanes[i];
  for (int64_t d = whole; d < depth; ++d) total += row[d] * row[d];
  return total;
}

void FloatLoad(const void* rows, Element element, int64_t count, int64_t depth,
               void* scratch, RowBlock* block) {
  block->count = (count + kStrip - 1) / kStrip * kStrip;
  block->stride = depth;
  block->rows = scratch;
  float* out = static_cast<float*>(scratch);
  if (element == Element::kBfloat16) {
    const uint16_t* in = static_cast<const uint16_t*>(rows);
    uint32_t* bits = static_cast<uint32_t*>(scratch);
    for (int64_t i = 0; i < count * depth; ++i) bits[i] = uint32_t{in[i]} << 16;
  } else if (block->count == count) {
    block->rows = rows;
  } else {
    __builtin_memcpy(out, rows, count * depth * sizeof(float));
  }
  if (block->rows == scratch) {
    __builtin_memset(out + count * depth, 0,
                     (block->count - count) * depth * sizeof(float));
  }
  const float* in = static_cast<const float*>(block->rows);
  for (int64_t i = 0; i < block->count; ++i) {
    float* square = block->squares + i / kStrip;
    const float norm = SquaredNorm(in + i * depth, depth);
    if (i % kStrip == 0 || norm > *square) *square = norm;
  }
}

// kRows rows against a panel of kStrips strips, all sums in registers.
template <int kStrips>
inline void ScanRows(const float* rows, int64_t depth, const Panel& panel,
                     float reach, int64_t first, const HitSink& sink) {
  constexpr int kVectors = kStrips * kVectorsPerStrip;
  const float* queries = static_cast<const float*>(panel.queries);
  Floats sums[kRows][kVectors] = {};
  for (int64_t d = 0; d < depth; ++d, queries += kStrips * kStrip) {
    Floats q[kVectors];
    for (int v = 0; v < kVectors; ++v) q[v] = LoadFloats(queries + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Floats x = Broadcast(rows[r * depth + d]);
#pragma GCC unroll 6
      for (int v = 0; v < kVectors; ++v) sums[r][v] += x * q[v];
    }
  }
  unsigned bits[kRows][kVectors], any = 0;
  for (int v = 0; v < kVectors; ++v) {
    const Floats threshold = LoadFloats(panel.cut + v * kWidth) -
                             LoadFloats(panel.slope + v * kWidth) * reach;
    for (int r = 0; r < kRows; ++r) {
      any |= bits[r][v] = NotLess(sums[r][v], threshold);
    }
  }
  if (__builtin_expect(any == 0, 1)) return;
  Hits hits;
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      AddHits(bits[r][v], sums[r][v], v * kWidth, first + r, &hits);
    }
  }
  sink.take(sink.self, hits);
}

template <int kStrips>
void ScanBlock(const RowBlock& block, int64_t depth, const Panel& panel,
               const HitSink& sink) {
  const float* rows = static_cast<const float*>(block.rows);
  for (int64_t i = 0; i < block.count; i += kRows) {
    ScanRows<kStrips>(rows + i * depth, depth, panel, block.reach[i / kStrip],
                      i, sink);
  }
}

void FloatScan(const RowBlock& block, int64_t depth, const Panel& panel,
               const HitSink& sink) {
  if constexpr (kFloatStrips > 1) {
    if (panel.strips == 3) return ScanBlock<3>(block, depth, panel, sink);
    if (panel.strips == 2) return ScanBlock<2>(block, depth, panel, sink);
  }
  ScanBlock<1>(block, depth, panel, sink);
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TOP_K_SCAN_FLOAT_H_
