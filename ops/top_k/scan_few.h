// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The scan for a few queries: whole rows at a time, at the speed of memory. Written
// once and compiled once per instruction set, as scan_float.h is.

#ifndef REALM_OPS_TOP_K_SCAN_FEW_H_
#define REALM_OPS_TOP_K_SCAN_FEW_H_

#include "ops/top_k/fold.h"
#include "ops/top_k/scan_float.h"

namespace realm {
namespace {

// The hardware fetches ahead too, but stops at the end of each page.
constexpr int64_t kFetchAhead = 1024;

// A block is read in four places in turns: memory answers those sooner than one.
constexpr int kStreams = 4;
constexpr int kTurns = kWidth / kStreams;

typedef int32_t Ints __attribute__((vector_size(kWidth * 4)));
typedef uint32_t Words __attribute__((vector_size(kWidth * 4)));

inline Words LoadWords(const void* p) {
  Words v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

inline void FetchAhead(const void* row, int64_t bytes) {
  const char* at = static_cast<const char*>(row) + kFetchAhead;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}

// For kWidth rows at a time, kTurns of each stream: add(row, lane) for each, the last
// row again beyond the end, then done(places): where each stream's results belong.
template <typename Add, typename Done>
inline void InStreams(int64_t rows, const Add& add, const Done& done) {
  const int64_t part = (rows + kWidth - 1) / kWidth * kTurns;
  for (int64_t i = 0; i < part; i += kTurns) {
    for (int turn = 0; turn < kTurns; ++turn) {
      for (int s = 0; s < kStreams; ++s) {
        const int64_t row = s * part + i + turn;
        add(row < rows ? row : rows - 1, s * kTurns + turn);
      }
    }
    done(i, part);
  }
}

template <typename V, typename T>
inline void Store(V found, int64_t at, int64_t part, T* out) {
  T lanes[kWidth];
  __builtin_memcpy(lanes, &found, sizeof(found));
  for (int s = 0; s < kStreams; ++s) {
    __builtin_memcpy(out + s * part + at, lanes + s * kTurns, sizeof(T) * kTurns);
  }
}

// What a row of floats, or of bfloat16, adds to the sum of its squares and to its
// products with the queries.
template <int kQueries>
inline void Add(Floats x, const float* query, int64_t stride, Floats* sums) {
  sums[0] += x * x;
  for (int q = 0; q < kQueries; ++q) sums[1 + q] += x * LoadFloats(query + q * stride);
}

template <int kQueries>
inline void AddRow(const float* row, int64_t depth, const FewQueries<float>& few,
                   Floats* sums) {
  const int64_t whole = depth / kWidth * kWidth;
  for (int64_t d = 0; d < whole; d += kWidth) {
    Add<kQueries>(LoadFloats(row + d), few.queries + d, few.stride, sums);
  }
  if (whole < depth) {
    float rest[kWidth] = {};
    __builtin_memcpy(rest, row + whole, (depth - whole) * sizeof(float));
    Add<kQueries>(LoadFloats(rest), few.queries + whole, few.stride, sums);
  }
}

// Two bfloat16 values in a word: the odd one is its upper half, the even one the
// lower. So the query's even values come first, and its odd ones in the second half.
template <int kQueries>
inline void AddPairs(Words pairs, const float* query, int64_t stride, Floats* sums) {
  Add<kQueries>((Floats)(pairs << 16), query, stride, sums);
  Add<kQueries>((Floats)(pairs & 0xffff0000u), query + stride / 2, stride, sums);
}

template <int kQueries>
inline void AddRow(const uint16_t* row, int64_t depth, const FewQueries<float>& few,
                   Floats* sums) {
  constexpr int kPairs = 2 * kWidth;
  const int64_t whole = depth / kPairs * kPairs;
  for (int64_t d = 0; d < whole; d += kPairs) {
    AddPairs<kQueries>(LoadWords(row + d), few.queries + d / 2, few.stride, sums);
  }
  if (whole < depth) {
    uint16_t rest[kPairs] = {};
    __builtin_memcpy(rest, row + whole, (depth - whole) * sizeof(uint16_t));
    AddPairs<kQueries>(LoadWords(rest), few.queries + whole / 2, few.stride, sums);
  }
}

template <int kQueries, typename T>
float ScoreRows(const T* table, int64_t rows, int64_t depth,
                const FewQueries<float>& few, float* scores) {
  Floats squares = {}, parts[kQueries][kWidth];
  const auto add = [&](int64_t row, int lane) {
    FetchAhead(table + row * depth, depth * sizeof(T));
    Floats sums[1 + kQueries] = {};
    AddRow<kQueries>(table + row * depth, depth, few, sums);
    squares = sums[0] > squares ? sums[0] : squares;
    for (int q = 0; q < kQueries; ++q) parts[q][lane] = sums[1 + q];
  };
  InStreams(rows, add, [&](int64_t at, int64_t part) {
    for (int q = 0; q < kQueries; ++q) {
      Store(SumEach(parts[q]), at, part, scores + q * kMaxBlockRows);
    }
  });
  float lanes[kWidth], most = 0;
  __builtin_memcpy(lanes, &squares, sizeof(lanes));
  for (float lane : lanes) most += lane;
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
  Ints parts[kQueries][kWidth];
  const auto add = [&](int64_t row, int lane) {
    const int8_t* at = codes + row * few.stride;
    FetchAhead(at, few.stride);
    Ints sums[kQueries] = {};
    for (int64_t d = 0; d < few.stride; d += 2 * kWidth) {
      for (int q = 0; q < kQueries; ++q) {
        sums[q] += MultiplyCodes(at + d, few.queries + q * few.stride + d);
      }
    }
    for (int q = 0; q < kQueries; ++q) parts[q][lane] = sums[q];
  };
  InStreams(rows, add, [&](int64_t at, int64_t part) {
    for (int q = 0; q < kQueries; ++q) {
      Store(SumEach(parts[q]), at, part, products + q * kMaxBlockRows);
    }
  });
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
    const unsigned bits = NotLess(LoadFloats(scores + i), threshold);
    if (__builtin_expect(bits == 0, 1)) continue;
    Hits hits;
    for (unsigned left = bits; left != 0; left &= left - 1) {
      const int64_t row = i + __builtin_ctz(left);
      hits.pairs[hits.count] = static_cast<int32_t>(256 * row + lane);
      hits.scores[hits.count++] = scores[row];
    }
    sink.take(sink.self, hits);
  }
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TOP_K_SCAN_FEW_H_
