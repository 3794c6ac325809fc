// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Norms and activations, row by row; see transformer.h. Included by one source per
// instruction set.

#ifndef REALM_OPS_TRANSFORMER_ROWS_H_
#define REALM_OPS_TRANSFORMER_ROWS_H_

#include "ops/transformer/transformer.h"
#include "ops/transformer/lanes.h"

namespace realm {
namespace {

// Calls `body(first, count)` for the lanes of a row, all but the last of them full.
template <typename Body>
inline void ForLanes(int64_t width, const Body& body) {
  int64_t first = 0;
  for (; first + kLanes <= width; first += kLanes) body(first, int64_t{kLanes});
  if (first < width) body(first, width - first);
}

inline Lanes Where(int64_t count, Lanes lanes) {  // 0 beyond the end of a row
  if (count == kLanes) return lanes;
  for (int64_t i = count; i < kLanes; ++i) lanes[i] = 0;
  return lanes;
}

template <typename T>
void NormRows(const ResidualNorm& in, int64_t begin, int64_t end) {
  const int64_t width = in.width;
  for (int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(in.x) + row * width;
    const T* delta = static_cast<const T*>(in.delta) + row * width;
    T* y = static_cast<T*>(in.y) + row * width;
    const auto sum_at = [&](int64_t i, int64_t n) {
      return Load(x + i, n) + Load(delta + i, n) + Load(in.bias + i, n);
    };
    Lanes total{};
    ForLanes(width, [&](int64_t i, int64_t n) { total += sum_at(i, n); });
    const float mean = Sum(total) / width;
    Lanes squares{};
    ForLanes(width, [&](int64_t i, int64_t n) {
      const Lanes centred = Where(n, sum_at(i, n) - mean);
      squares += centred * centred;
    });
    const float scale = 1 / __builtin_sqrtf(Sum(squares) / width + in.epsilon);
    ForLanes(width, [&](int64_t i, int64_t n) {
      const Lanes unit = (sum_at(i, n) - mean) * scale;
      Store(y + i, unit * Load(in.gamma + i, n) + Load(in.beta + i, n), n);
    });
    in.mean[row] = mean;
    in.scale[row] = scale;
  }
}

template <typename T>
void NormRowsGrad(const ResidualNormGrad& in, int64_t begin, int64_t end, float* sums) {
  const int64_t width = in.width;
  float *dbias = sums, *dgamma = sums + width, *dbeta = sums + 2 * width;
  for (int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(in.x) + row * width;
    const T* delta = static_cast<const T*>(in.delta) + row * width;
    const T* dy = static_cast<const T*>(in.dy) + row * width;
    T* dsum = static_cast<T*>(in.dsum) + row * width;
    const float mean = in.mean[row], scale = in.scale[row];
    const auto unit_at = [&](int64_t i, int64_t n) {
      return Where(n, (Load(x + i, n) + Load(delta + i, n) + Load(in.bias + i, n) - mean) *
                          scale);
    };
    Lanes total{}, along{};
    ForLanes(width, [&](int64_t i, int64_t n) {
      const Lanes upstream = Load(dy + i, n), unit = unit_at(i, n);
      const Lanes scaled = upstream * Load(in.gamma + i, n);
      total += scaled;
      along += scaled * unit;
      Store(dgamma + i, Load(dgamma + i, n) + upstream * unit, n);
      Store(dbeta + i, Load(dbeta + i, n) + upstream, n);
    });
    const float of_mean = Sum(total) / width, of_scale = Sum(along) / width;
    ForLanes(width, [&](int64_t i, int64_t n) {
      const Lanes scaled = Load(dy + i, n) * Load(in.gamma + i, n);
      const Lanes result = (scaled - of_mean - unit_at(i, n) * of_scale) * scale;
      Store(dsum + i, result, n);
      Store(dbias + i, Load(dbias + i, n) + result, n);
    });
  }
}

// An activation's value and slope at x.
struct Point {
  Lanes value, slope;
};

struct Relu {
  template <int>
  static Point At(Lanes x) {
    const Lanes zero{};
    return {x > zero ? x : zero, x > zero ? All(1) : zero};
  }
};

// x Phi(x); Phi by formula 7.1.26 of Abramowitz & Stegun (1964), error below 1e-7.
struct Gelu {
  template <int kTerms>
  static Point At(Lanes x) {
    const Lanes bell = Exp<kTerms>(x * x * -.5f);
    const Lanes t = Reciprocal(1.f + .3275911f * .70710678f * Abs(x));
    Lanes tail = t * 1.061405429f - 1.453152027f;
    tail = tail * t + 1.421413741f;
    tail = tail * t - .284496736f;
    tail = tail * t + .254829592f;
    tail = .5f * tail * t * bell;
    const Lanes phi = x < Lanes{} ? tail : 1.f - tail;
    return {x * phi, phi + x * bell * .39894228f};
  }
};

// The tanh form of Hendrycks & Gimpel (2016), arXiv 1606.08415.
struct GeluTanh {
  template <int kTerms>
  static Point At(Lanes x) {
    constexpr float kScale = .79788456f, kCubic = .044715f;
    const Lanes inner = kScale * (x + kCubic * x * x * x);
    Lanes twice = 2.f * inner;
    twice = twice > All(80.f) ? All(80.f) : twice;  // whose exponential is finite
    const Lanes tanh = 1.f - 2.f * Reciprocal(Exp<kTerms>(twice) + 1.f);
    const Lanes half = .5f * (1.f + tanh);
    return {x * half,
            half + .5f * x * (1.f - tanh * tanh) * kScale * (1.f + 3 * kCubic * x * x)};
  }
};

template <typename T, typename Function>
void ActivateRows(const BiasActivation& in, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(in.x) + row * in.width;
    T* y = static_cast<T*>(in.y) + row * in.width;
    ForLanes(in.width, [&](int64_t i, int64_t n) {
      const Lanes sum = Load(x + i, n) + Load(in.bias + i, n);
      Store(y + i, Function::template At<kTerms<T>>(sum).value, n);
    });
  }
}

template <typename T, typename Function>
void ActivateRowsGrad(const BiasActivationGrad& in, int64_t begin, int64_t end,
                      float* sums) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(in.x) + row * in.width;
    const T* dy = static_cast<const T*>(in.dy) + row * in.width;
    T* dx = static_cast<T*>(in.dx) + row * in.width;
    T* y = static_cast<T*>(in.y) + row * in.width;
    ForLanes(in.width, [&](int64_t i, int64_t n) {
      const Point at =
          Function::template At<kTerms<T>>(Load(x + i, n) + Load(in.bias + i, n));
      const Lanes result = Load(dy + i, n) * at.slope;
      Store(y + i, at.value, n);
      Store(dx + i, result, n);
      Store(sums + i, Load(sums + i, n) + result, n);
    });
  }
}

inline Lanes Root(Lanes x) {
#if defined(__AVX512F__)
  return BitCast<Lanes>(_mm512_sqrt_ps(BitCast<__m512>(x)));
#else
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

void UpdateByAdamW(const AdamW& in, int64_t begin, int64_t end) {
  const float keep = 1 - in.decay, new1 = 1 - in.beta1, new2 = 1 - in.beta2;
  ForLanes(end - begin, [&](int64_t first, int64_t n) {
    const int64_t i = begin + first;
    const Lanes grad = Load(in.grad + i, n) * in.scale;
    const Lanes m = Load(in.m + i, n), v = Load(in.v + i, n);
    const Lanes new_m = m + (grad - m) * new1, new_v = v + (grad * grad - v) * new2;
    Store(in.m + i, new_m, n);
    Store(in.v + i, new_v, n);
    Store(in.value + i,
          Load(in.value + i, n) * keep - in.rate * new_m / (Root(new_v) + in.epsilon), n);
  });
}

void ResidualNormRows(const ResidualNorm& in, int64_t begin, int64_t end) {
  in.row == Row::kFloat32 ? NormRows<float>(in, begin, end)
                          : NormRows<uint16_t>(in, begin, end);
}

void ResidualNormRowsGrad(const ResidualNormGrad& in, int64_t begin, int64_t end,
                          float* sums) {
  in.row == Row::kFloat32 ? NormRowsGrad<float>(in, begin, end, sums)
                          : NormRowsGrad<uint16_t>(in, begin, end, sums);
}

template <typename T>
void Activate(const BiasActivation& in, int64_t begin, int64_t end) {
  switch (in.activation) {
    case Activation::kGelu: return ActivateRows<T, Gelu>(in, begin, end);
    case Activation::kGeluTanh: return ActivateRows<T, GeluTanh>(in, begin, end);
    case Activation::kRelu: return ActivateRows<T, Relu>(in, begin, end);
  }
}

template <typename T>
void ActivateGrad(const BiasActivationGrad& in, int64_t begin, int64_t end, float* sums) {
  switch (in.activation) {
    case Activation::kGelu: return ActivateRowsGrad<T, Gelu>(in, begin, end, sums);
    case Activation::kGeluTanh: return ActivateRowsGrad<T, GeluTanh>(in, begin, end, sums);
    case Activation::kRelu: return ActivateRowsGrad<T, Relu>(in, begin, end, sums);
  }
}

void BiasActivationRows(const BiasActivation& in, int64_t begin, int64_t end) {
  in.row == Row::kFloat32 ? Activate<float>(in, begin, end)
                          : Activate<uint16_t>(in, begin, end);
}

void BiasActivationRowsGrad(const BiasActivationGrad& in, int64_t begin, int64_t end,
                            float* sums) {
  in.row == Row::kFloat32 ? ActivateGrad<float>(in, begin, end, sums)
                          : ActivateGrad<uint16_t>(in, begin, end, sums);
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_ROWS_H_
