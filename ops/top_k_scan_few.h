// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The scan for a few queries: whole rows at a time, at the speed of memory. Written
// once and compiled once per instruction set, as top_k_scan_float.h is.

#ifndef REALM_OPS_TOP_K_SCAN_FEW_H_
#define REALM_OPS_TOP_K_SCAN_FEW_H_

#include "top_k_scan_float.h"

namespace realm {
namespace {

// The hardware fetches ahead too, but stops at the end of each page.
constexpr int64_t kFetchAhead = 4096;

typedef int32_t Ints __attribute__((vector_size(kWidth * 4)));
typedef uint32_t Words __attribute__((vector_size(kWidth * 4)));
typedef uint16_t Shorts __attribute__((vector_size(kWidth * 2)));

inline Floats LoadWide(const float* p) { return LoadFloats(p); }

inline Floats LoadWide(const uint16_t* p) {
  Shorts v;
  __builtin_memcpy(&v, p, sizeof(v));
  return (Floats)(__builtin_convertvector(v, Words) << 16);
}

// The even blocks of a and b, and the odd ones, added.
template <int kBlock, typename V>
inline V Fold(V a, V b) {
  Ints even{}, odd{};
  for (int i = 0; i < kWidth; ++i) {
    even[i] = i / kBlock * 2 * kBlock + i % kBlock;
    odd[i] = even[i] + kBlock;
  }
  return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
}

// Lane i becomes the sum over the lanes of v[i]; v is spent.
template <int kBlock = kWidth / 2, typename V>
inline V SumEach(V* v) {
  for (int i = 0; i < kBlock; ++i) v[i] = Fold<kBlock>(v[2 * i], v[2 * i + 1]);
  if constexpr (kBlock > 1) return SumEach<kBlock / 2>(v);
  return v[0];
}

inline void FetchAhead(const void* row, int64_t bytes) {
  const char* at = static_cast<const char*>(row) + kFetchAhead;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}

// sums[0] becomes the squared norm of the row, sums[1 + q] its product with q.
template <int kQueries, typename T>
inline void AddRow(const T* row, int64_t depth, const FewQueries<float>& few,
                   Floats* sums) {
  const auto add = [&](Floats x, int64_t d) {
    sums[0] += x * x;
    for (int q = 0; q < kQueries; ++q) {
      sums[1 + q] += x * LoadFloats(few.queries + q * few.stride + d);
    }
  };
  const int64_t whole = depth / kWidth * kWidth;
  for (int64_t d = 0; d < whole; d += kWidth) add(LoadWide(row + d), d);
  if (whole < depth) {
    T rest[kWidth] = {};
    __builtin_memcpy(rest, row + whole, (depth - whole) * sizeof(T));
    add(LoadWide(rest), whole);
  }
}

template <int kQueries, typename T>
float ScoreRows(const T* table, int64_t rows, int64_t depth,
                const FewQueries<float>& few, float* scores) {
  Floats largest = {};
  for (int64_t i = 0; i < rows; i += kWidth) {
    Floats parts[1 + kQueries][kWidth];
    for (int r = 0; r < kWidth; ++r) {  // the last row again beyond the end
      const T* row = table + (i + r < rows ? i + r : rows - 1) * depth;
      FetchAhead(row, depth * sizeof(T));
      Floats sums[1 + kQueries] = {};
      AddRow<kQueries>(row, depth, few, sums);
      for (int s = 0; s <= kQueries; ++s) parts[s][r] = sums[s];
    }
    const Floats square = SumEach(parts[0]);
    largest = square > largest ? square : largest;
    for (int q = 0; q < kQueries; ++q) {
      const Floats found = SumEach(parts[1 + q]);
      __builtin_memcpy(scores + q * kMaxBlockRows + i, &found, sizeof(found));
    }
  }
  float lanes[kWidth], most = 0;
  __builtin_memcpy(lanes, &largest, sizeof(lanes));
  for (float lane : lanes) most = lane > most ? lane : most;
  return most;
}

template <typename T>
float ScoreAny(const T* table, int64_t rows, int64_t depth,
               const FewQueries<float>& few, float* scores) {
  switch (few.count) {
    case 1: return ScoreRows<1>(table, rows, depth, few, scores);
    case 2: return ScoreRows<2>(table, rows, depth, few, scores);
    case 3: return ScoreRows<3>(table, rows, depth, few, scores);
    default: return ScoreRows<4>(table, rows, depth, few, scores);
  }
}

float FewScore(const void* table, Element element, int64_t rows, int64_t depth,
               const FewQueries<float>& few, float* scores) {
  return element == Element::kFloat32
             ? ScoreAny(static_cast<const float*>(table), rows, depth, few, scores)
             : ScoreAny(static_cast<const uint16_t*>(table), rows, depth, few,
                        scores);
}

// Sixteen-bit products of 2 * kWidth codes, added in pairs.
inline Ints MultiplyCodes(const int8_t* codes, const int16_t* query) {
#if defined(__AVX512F__)
  const __m512i x = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)codes));
  return (Ints)_mm512_madd_epi16(x, _mm512_loadu_si512(query));
#elif defined(__AVX2__)
  const __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)codes));
  return (Ints)_mm256_madd_epi16(x, _mm256_loadu_si256((const __m256i*)query));
#else
  Ints sums = {};
  for (int i = 0; i < 2 * kWidth; ++i) {
    sums[i / 2] += int32_t{codes[i]} * int32_t{query[i]};
  }
  return sums;
#endif
}

template <int kQueries>
void ScoreCodeRows(const int8_t* codes, int64_t rows,
                   const FewQueries<int16_t>& few, int32_t* products) {
  for (int64_t i = 0; i < rows; i += kWidth) {
    Ints parts[kQueries][kWidth];
    for (int r = 0; r < kWidth; ++r) {
      const int8_t* row = codes + (i + r < rows ? i + r : rows - 1) * few.stride;
      FetchAhead(row, few.stride);
      Ints sums[kQueries] = {};
      for (int64_t d = 0; d < few.stride; d += 2 * kWidth) {
        for (int q = 0; q < kQueries; ++q) {
          sums[q] += MultiplyCodes(row + d, few.queries + q * few.stride + d);
        }
      }
      for (int q = 0; q < kQueries; ++q) parts[q][r] = sums[q];
    }
    for (int q = 0; q < kQueries; ++q) {
      const Ints found = SumEach(parts[q]);
      __builtin_memcpy(products + q * kMaxBlockRows + i, &found, sizeof(found));
    }
  }
}

void FewScoreCodes(const int8_t* codes, int64_t rows,
                   const FewQueries<int16_t>& few, int32_t* products) {
  switch (few.count) {
    case 1: return ScoreCodeRows<1>(codes, rows, few, products);
    case 2: return ScoreCodeRows<2>(codes, rows, few, products);
    case 3: return ScoreCodeRows<3>(codes, rows, few, products);
    default: return ScoreCodeRows<4>(codes, rows, few, products);
  }
}

void FewFilter(const float* scores, const float* allowances, int64_t rows,
               const float* cut, int lane, const HitSink& sink) {
  for (int64_t i = 0; i < rows; i += kWidth) {
    const Floats threshold = Broadcast(*cut) - LoadFloats(allowances + i);
    unsigned hits = NotLess(LoadFloats(scores + i), threshold);
    for (; __builtin_expect(hits != 0, 0); hits &= hits - 1) {
      const int64_t row = i + __builtin_ctz(hits);
      if (row < rows) sink.hit(sink.self, lane, row, scores[row]);
    }
  }
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TOP_K_SCAN_FEW_H_
