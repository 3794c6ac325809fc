// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The bounds of a table in eight bits, and rows that they alone cannot tell apart.

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "ops/top_k/check_kernels.h"

namespace realm {
namespace {

// For large k a sample of the table gives a threshold. As many rows as are wanted may then
// reach it by their bounds, not by their scores: here the first 64 rows, which a sample
// holds, are better by about as much as codes of eight bits lose.
void TestSamplesWithinBounds(Random& random) {
  std::normal_distribution<float> normal;
  Case c = MakeCase("samples within bounds", kMaxFew, 20011, 1000, 650,
                    [&] { return normal(random); });
  for (int64_t r = 0; r < c.rows; ++r) {
    for (int64_t d = 0; d < c.depth; ++d) c.table[r * c.depth + d] *= 0.1f;
    c.table[r * c.depth] = r < 128;
    c.table[r * c.depth + 1] = 4;  // so that the codes are coarse
  }
  for (int64_t q = 0; q < c.batch; ++q) {
    double square = 0;
    for (int64_t d = 2; d < c.depth; ++d) {
      c.queries[q * c.depth + d] *= 0.1f;
      square += std::pow(c.queries[q * c.depth + d], 2);
    }
    const double loss = 4.0 / 127 * std::sqrt(c.depth / 12.0) * std::sqrt(square);
    c.queries[q * c.depth] = (q + 2) * loss / 2;
    c.queries[q * c.depth + 1] = 0;
  }
  Check(c);
}

// No row is further from its codes than its bound says, and few need that much.
void TestShadowBounds(Random& random) {
  std::normal_distribution<float> normal;
  Case c = MakeCase("shadow", 0, 500, 45, 1, [&] {
    return std::ldexp(normal(random), Uniform(random, -3, 3));
  });
  for (int64_t d = 0; d < c.depth; ++d) c.table[7 * c.depth + d] = 0;
  c.table[8 * c.depth] = std::numeric_limits<float>::infinity();
  for (Element element : {Element::kFloat32, Element::kBfloat16}) {
    const Stored table(c, element);
    const Shadow shadow(c, table);
    for (int64_t row = 0; row < c.rows; ++row) {
      double square = 0, norm = 0;
      for (int64_t d = 0; d < ShadowStride(c.depth); ++d) {
        const double value = d < c.depth ? table.values[row * c.depth + d] : 0;
        const double error =
            value - double{shadow.bounds[row]} *
                        shadow.codes[row * ShadowStride(c.depth) + d];
        square += error * error;
        norm += value * value;
      }
      const double bound = shadow.bounds[c.rows + row];
      if (row == 8 ? std::isinf(bound)
                   : std::sqrt(square) <= bound && bound <= 0.05 * std::sqrt(norm) + 1e-30) {
        continue;
      }
      ++failures;
      std::printf("FAILED shadow: row %d errs by %g, its bound is %g\n", int(row),
                  std::sqrt(square), bound);
    }
  }
}

void TestAll() {
  TestSamplesWithinBounds(random_bits);
  TestShadowBounds(random_bits);
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::AvailableKernels(), realm::TestAll);
}
