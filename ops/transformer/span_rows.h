// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The scores of spans; see transformer.h. Included by one source per instruction set.

#ifndef REALM_OPS_TRANSFORMER_SPAN_ROWS_H_
#define REALM_OPS_TRANSFORMER_SPAN_ROWS_H_

#include "ops/transformer/lanes.h"
#include "ops/transformer/rows.h"
#include "ops/transformer/transformer.h"

namespace realm {
namespace {

// x = relu(start + end) of a span, some lanes of it. Not a number stays one.
inline Lanes SpanState(const float* start, const float* end, int64_t n) {
  const Lanes sum = Load(start, n) + Load(end, n), zero{};
  return sum < zero ? zero : sum;
}

// What the norm and the score need of a span: a norm is linear but for two numbers.
struct SpanMoments {
  float mean, product;  // product: x' weight
  float variance;

  SpanMoments(const SpanScores& in, const float* start, const float* end) {
    Lanes sum{}, squares{}, along{};
    ForLanes(in.width, [&](int64_t i, int64_t n) {
      const Lanes x = SpanState(start + i, end + i, n);
      sum += x;
      squares += x * x;
      along += x * Load(in.weight + i, n);
    });
    mean = Sum(sum) / in.width;
    product = Sum(along);
    variance = Sum(squares) / in.width - mean * mean;
  }

  float Scale(float epsilon) const {
    return 1 / __builtin_sqrtf((variance < 0 ? 0 : variance) + epsilon);
  }
};

inline float SumOfWeight(const SpanScores& in) {
  Lanes sum{};
  ForLanes(in.width, [&](int64_t i, int64_t n) { sum += Load(in.weight + i, n); });
  return Sum(sum);
}

// Calls `body(span)` for those that start at a token, span 0 being the token itself, and
// end within its sequence, where both tokens are allowed; `other(span)` for the others.
template <typename Body, typename Other>
inline void ForSpans(const SpanScores& in, int64_t token, const Body& body,
                     const Other& other) {
  const int64_t left = in.length - token % in.length;
  for (int64_t span = 0; span < in.spans; ++span) {
    span < left && in.allowed[token] && in.allowed[token + span] ? body(span) : other(span);
  }
}

void ScoreSpans(const SpanScores& in, int64_t begin, int64_t end) {
  const float total = SumOfWeight(in);
  for (int64_t token = begin; token < end; ++token) {
    const float* start = in.projected + 2 * token * in.width;
    float* scores = in.scores + token * in.spans;
    ForSpans(
        in, token,
        [&](int64_t span) {
          const SpanMoments at(in, start, start + (2 * span + 1) * in.width);
          scores[span] =
              (at.product - at.mean * total) * at.Scale(in.epsilon) + in.constant;
        },
        [&](int64_t span) { scores[span] = -__builtin_inff(); });
  }
}

void ScoreSpansGrad(const SpanScoresGrad& grad, int64_t begin, int64_t end, float* sums) {
  const SpanScores& in = grad.of;
  const float total = SumOfWeight(in);
  float *dweight = sums, *dconstant = sums + in.width;
  float of_means = 0;  // what is taken from each of dweight
  const int64_t row = 2 * in.width * in.length;
  std::memset(grad.dprojected + begin * row, 0, 4 * (end - begin) * row);
  for (int64_t token = begin * in.length; token < end * in.length; ++token) {
    const float* start = in.projected + 2 * token * in.width;
    float* dstart = grad.dprojected + 2 * token * in.width;
    ForSpans(
        in, token,
        [&](int64_t span) {
          const int64_t to_end = (2 * span + 1) * in.width;
          const SpanMoments at(in, start, start + to_end);
          const float upstream = grad.dscores[token * in.spans + span];
          const float scale = at.Scale(in.epsilon);
          const float by_weight = upstream * scale;
          const float by_x = at.variance < 0 ? 0 : -by_weight * scale * scale *
              (at.product - at.mean * total) / in.width;
          const float shift = -by_weight * total / in.width - by_x * at.mean;
          of_means += by_weight * at.mean;
          *dconstant += upstream;
          ForLanes(in.width, [&](int64_t i, int64_t n) {
            const Lanes x = SpanState(start + i, start + to_end + i, n), zero{};
            const Lanes weight = Load(in.weight + i, n);
            const Lanes slope = by_weight * weight + by_x * x + shift;
            const Lanes dx = x > zero ? slope : zero;
            Store(dstart + i, Load(dstart + i, n) + dx, n);
            Store(dstart + to_end + i, Load(dstart + to_end + i, n) + dx, n);
            Store(dweight + i, Load(dweight + i, n) + by_weight * x, n);
          });
        },
        [](int64_t) {});
  }
  ForLanes(in.width, [&](int64_t i, int64_t n) {
    Store(dweight + i, Load(dweight + i, n) - of_means, n);
  });
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_SPAN_ROWS_H_
