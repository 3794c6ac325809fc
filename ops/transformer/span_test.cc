// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The scores of spans.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ops/transformer/expect_near.h"

namespace realm {
namespace {

struct Sizes {
  int64_t sequences, length, width, spans;
};

constexpr float kEpsilon = 1e-3f;

// Of a span of `sizes.spans` at most; NaN where there is none.
Doubles Scores(const Sizes& sizes, const Doubles& projected, const bool* allowed,
               const Doubles& weight, double constant) {
  const auto [sequences, length, width, spans] = sizes;
  Doubles scores(sequences * length * spans, NAN);
  for (int64_t token = 0; token < sequences * length; ++token) {
    for (int64_t span = 0; span < spans; ++span) {
      const int64_t end = token + span;
      if (end / length != token / length || !allowed[token] || !allowed[end]) continue;
      Doubles x(width);
      double mean = 0, variance = 0, score = constant;
      for (int64_t i = 0; i < width; ++i) {
        x[i] = std::max(0., projected[2 * token * width + i] +
                                projected[(2 * end + 1) * width + i]);
        mean += x[i] / width;
      }
      for (double value : x) variance += std::pow(value - mean, 2) / width;
      for (int64_t i = 0; i < width; ++i) {
        score += (x[i] - mean) / std::sqrt(variance + kEpsilon) * weight[i];
      }
      scores[token * spans + span] = score;
    }
  }
  return scores;
}

// A difference over the kink of a ReLU is no slope: sums keep away from it.
void LeaveKinks(const Sizes& sizes, std::vector<float>* projected) {
  const auto [sequences, length, width, spans] = sizes;
  for (bool near = true; near;) {
    near = false;
    for (int64_t token = 0; token < sequences * length; ++token) {
      for (int64_t end = token; end < std::min(token + spans, sequences * length); ++end) {
        for (int64_t i = 0; i < width; ++i) {
          float& start = (*projected)[2 * token * width + i];
          if (std::fabs(start + (*projected)[(2 * end + 1) * width + i]) > 1e-4f) continue;
          start += 3e-4f;
          near = true;
        }
      }
    }
  }
}

void TestSpans(const TransformerKernel& kernel, const Sizes& sizes,
               const std::string& name) {
  const auto [sequences, length, width, spans] = sizes;
  const int64_t tokens = sequences * length;
  auto projected = Floats(Random(2 * tokens * width)), weight = Floats(Random(width));
  LeaveKinks(sizes, &projected);
  const auto allowed = std::make_unique<bool[]>(tokens);
  for (int64_t i = 0; i < tokens; ++i) allowed[i] = random_bits() % 4 > 0;
  const float constant = .75f;
  std::vector<float> scores(tokens * spans), dprojected(2 * tokens * width, NAN);
  std::vector<float> dweight(width, NAN);
  float dconstant = NAN;
  const SpanScores of{sequences,        length,        width,    spans,    projected.data(),
                      allowed.get(), weight.data(), constant, kEpsilon, scores.data()};
  Compute(of, kernel, kBackwards);
  const Doubles P = Wide(projected), W = Wide(weight);
  const Doubles wanted = Scores(sizes, P, allowed.get(), W, constant);
  auto dscores = Floats(Random(tokens * spans));
  Doubles got, known, upstream = Wide(dscores);
  double total = 0, magnitude = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const bool is_span = !std::isnan(wanted[i]);
    if (is_span != std::isfinite(scores[i]) || (!is_span && scores[i] > 0)) {
      std::printf("%s: score %zu: %g, wanted %g\n", name.c_str(), i, scores[i], wanted[i]);
      ++failures;
    }
    if (is_span) {
      got.push_back(scores[i]);
      known.push_back(wanted[i]);
      total += dscores[i];
      magnitude += std::fabs(dscores[i]);
    } else {
      dscores[i] = NAN;  // must not be read
      upstream[i] = 0;
    }
  }
  got.push_back(1);  // what cancels in a score is not much less
  known.push_back(1);
  ExpectNear(name, got, known, 2e-5);
  Compute(SpanScoresGrad{of, dscores.data(), dprojected.data(), dweight.data(), &dconstant},
          kernel, kBackwards);
  const auto scored = [&](const Doubles& projected, const Doubles& weight) {
    Doubles y = Scores(sizes, projected, allowed.get(), weight, constant);
    for (double& value : y) value = std::isnan(value) ? 0 : value;
    return y;
  };
  ExpectGradient(name + " dprojected", P, Wide(dprojected), upstream,
                 [&](const Doubles& v) { return scored(v, W); }, 1e-4, 1);
  ExpectGradient(name + " dweight", W, Wide(dweight), upstream,
                 [&](const Doubles& v) { return scored(P, v); }, 1e-4, 1);
  // The sum may be next to 0: errors are shares of what cancels.
  ExpectNear(name + " dconstant", {dconstant, magnitude}, {total, magnitude}, 1e-6);
}

// What is no number stays one: it must not become a score.
void TestNotANumber(const TransformerKernel& kernel) {
  const std::vector<float> projected(2 * 37, NAN), weight(37, 1);
  const bool allowed = true;
  float score = 0;
  Compute(SpanScores{1, 1, 37, 1, projected.data(), &allowed, weight.data(), 0, kEpsilon,
                     &score},
          kernel, kInOrder);
  if (std::isnan(score)) return;
  std::printf("%s: NaN became %g\n", kernel.name, score);
  ++failures;
}

void TestAll() {
  for (const TransformerKernel& kernel : TransformerKernels()) {
    for (const Sizes& sizes : {Sizes{1, 1, 16, 1}, {1, 3, 5, 10}, {40, 7, 37, 3},
                               {3, 90, 64, 4}}) {
      const auto [sequences, length, width, spans] = sizes;
      std::string name = kernel.name;
      for (int64_t size : {sequences, length, width, spans}) {
        name += " " + std::to_string(size);
      }
      TestSpans(kernel, sizes, name);
    }
    TestNotANumber(kernel);
  }
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::TransformerKernels(), realm::TestAll);
}
