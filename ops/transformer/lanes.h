// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Arithmetic on as many floats as the instruction set takes at once. Included by one
// source per instruction set: everything is in an unnamed namespace, and nothing of the
// standard library is instantiated, so that no linker can mix them.

#ifndef REALM_OPS_TRANSFORMER_LANES_H_
#define REALM_OPS_TRANSFORMER_LANES_H_

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace realm {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Lanes __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Bits __attribute__((vector_size(4 * kLanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t RoundUp(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

inline Lanes All(float value) { return value - Lanes{}; }

template <typename To, typename From>
inline To BitCast(From from) {
  static_assert(sizeof(To) == sizeof(From), "");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// `count` is at most kLanes; the other lanes are 0, or are not written.
inline Lanes Load(const float* from, int64_t count = kLanes) {
  Lanes lanes{};
  if (count == kLanes) {
    std::memcpy(&lanes, from, sizeof(lanes));
  } else {
    std::memcpy(&lanes, from, 4 * count);
  }
  return lanes;
}

inline Lanes Load(const uint16_t* from, int64_t count = kLanes) {
  Halves halves{};
  if (count == kLanes) {
    std::memcpy(&halves, from, sizeof(halves));
  } else {
    std::memcpy(&halves, from, 2 * count);
  }
  return BitCast<Lanes>(__builtin_convertvector(halves, Bits) << 16);
}

inline void Store(float* to, Lanes lanes, int64_t count = kLanes) {
  if (count == kLanes) {
    std::memcpy(to, &lanes, sizeof(lanes));
  } else {
    std::memcpy(to, &lanes, 4 * count);
  }
}

// The nearest bfloat16, ties to even.
inline Halves Rounded(Lanes lanes) {
#if defined(__AVX512BF16__)
  return BitCast<Halves>(_mm512_cvtneps_pbh(BitCast<__m512>(lanes)));
#else
  const Bits bits = BitCast<Bits>(lanes);
  return __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, Halves);
#endif
}

inline void Store(uint16_t* to, Lanes lanes, int64_t count = kLanes) {
  const Halves halves = Rounded(lanes);
  if (count == kLanes) {
    std::memcpy(to, &halves, sizeof(halves));
  } else {
    std::memcpy(to, &halves, 2 * count);
  }
}

inline float Sum(Lanes lanes) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(BitCast<__m512>(lanes));
#else
  float values[kLanes];
  std::memcpy(values, &lanes, sizeof(lanes));
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) values[i] += values[i + width];
  }
  return values[0];
#endif
}

inline Lanes Max(Lanes a, Lanes b) { return a > b ? a : b; }

inline float Max(Lanes lanes) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps(BitCast<__m512>(lanes));
#else
  float values[kLanes], most;
  std::memcpy(values, &lanes, sizeof(lanes));
  most = values[0];
  for (int i = 1; i < kLanes; ++i) most = values[i] > most ? values[i] : most;
  return most;
#endif
}

inline Lanes Abs(Lanes x) { return BitCast<Lanes>(BitCast<Bits>(x) & 0x7fffffff); }

// The series of e^r to r^kTerms; for |r| <= log(2) / 2 the relative error is below 2^-22
// with 7 terms, and 2^-14 with 4, which is enough for what becomes bfloat16.
template <int kTerms>
inline Lanes Series(Lanes r) {
  constexpr float kFactors[] = {1.f,      1.f,       .5f,       1.f / 6,
                                1.f / 24, 1.f / 120, 1.f / 720, 1.f / 5040};
  Lanes sum = All(kFactors[kTerms]);
  for (int term = kTerms - 1; term >= 0; --term) sum = sum * r + kFactors[term];
  return sum;
}

// Of the series of an exponential, for what is stored so.
template <typename Stored>
constexpr int kTerms = sizeof(Stored) == 2 ? 4 : 7;

// e^x: 2^n times the series of e^r. Not a number stays one.
template <int kTerms = 7>
inline Lanes Exp(Lanes x) {
#if defined(__AVX512F__)
  x = BitCast<Lanes>(_mm512_max_ps(_mm512_set1_ps(-200), BitCast<__m512>(x)));
  const __m512 n = _mm512_roundscale_ps(BitCast<__m512>(x * 1.44269504f), 0);
  const Lanes whole = BitCast<Lanes>(n);
  const Lanes r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
  return BitCast<Lanes>(_mm512_scalef_ps(BitCast<__m512>(Series<kTerms>(r)), n));
#else
  x = x < All(-87.f) ? All(-87.f) : x;
  x = x > All(88.f) ? All(88.f) : x;
  constexpr float kRounder = 12582912.f;  // 1.5 * 2^23: adding it rounds to whole numbers
  const Lanes shifted = x * 1.44269504f + kRounder;
  const Lanes n = shifted - kRounder;
  const Lanes r = x - n * 0.693359375f + n * 2.12194440e-4f;
  const Bits power = (BitCast<Bits>(shifted) - BitCast<Bits>(All(kRounder)) + 127) << 23;
  return Series<kTerms>(r) * BitCast<Lanes>(power);
#endif
}

// log x, x finite and normal: of 2^n m by the series of atanh((m - 1) / (m + 1)) to the
// seventh power, m from sqrt(1/2) to sqrt(2); absolute error below 1e-7 but for rounding.
inline Lanes Log(Lanes x) {
  constexpr uint32_t kRootOfHalf = 0x3f3504f3;
  const Bits shifted = BitCast<Bits>(x) - kRootOfHalf;
  const Ints n = BitCast<Ints>(shifted) >> 23;
  const Lanes m = BitCast<Lanes>((shifted & 0x007fffff) + kRootOfHalf);
  const Lanes s = (m - 1.f) / (m + 1.f), squared = s * s;
  const Lanes series =
      ((squared * (1.f / 7) + 1.f / 5) * squared + 1.f / 3) * squared + 1.f;
  return __builtin_convertvector(n, Lanes) * .69314718f + 2.f * s * series;
}

// 1 / x, x finite and above 0.
inline Lanes Reciprocal(Lanes x) {
#if defined(__AVX512F__)
  const Lanes guess = BitCast<Lanes>(_mm512_rcp14_ps(BitCast<__m512>(x)));
  return guess * (2.f - x * guess);
#else
  return 1.f / x;
#endif
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_LANES_H_
