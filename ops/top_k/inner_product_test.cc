// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Random integers, where every order of summation is exact; random floats; and tables in
// which ties, order or a sample would mislead a search.

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "ops/top_k/check_kernels.h"

namespace realm {
namespace {

void TestRandomIntegers(Random& random) {
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = Uniform(random, 1, i % 4 == 0 ? 5000 : 300);
    const int64_t width = std::min(Uniform(random, 0, 5), rows - 1);
    const int64_t k = Uniform(random, 1, i % 3 == 0 ? rows - width
                                                    : std::min(rows - width, int64_t{9}));
    // Small integers tie often; all are exact in bfloat16.
    const int64_t largest = Uniform(random, 1, 64);
    Case c = MakeCase("random integers", Uniform(random, 1, 70), rows,
                      Uniform(random, 1, 150), k, [&] {
                        return float(Uniform(random, -largest, largest));
                      });
    Ban(&c, random, width);
    Check(c);
  }
}

void TestRandomFloats(Random& random) {
  std::normal_distribution<float> normal;
  for (int64_t depth : {1, 15, 32, 127, 128, 200}) {
    Case c = MakeCase("random floats", 33, 1501, depth, 20,
                      [&] { return normal(random); });
    Check(c);
    // A tower before training: all rows nearly the same, so that rounding
    // tells none of them apart.
    for (int64_t i = 0; i < c.rows * depth; ++i) {
      c.table[i] = c.table[i % depth] + 1e-4f * normal(random);
    }
    c.name = "nearly equal rows";
    Check(c);
  }
}

void TestEqualRows(Random& random) {
  Case c = MakeCase("equal rows", 20, 2001, 40, 700,
                    [&] { return float(Uniform(random, -9, 9)); });
  for (int64_t i = 0; i < c.rows * c.depth; ++i) {
    c.table[i] = c.table[i % c.depth];
  }
  Check(c);
  Ban(&c, random, 7);
  Check(c);
}

void TestOrders() {
  for (int direction : {1, -1}) {
    Case c = MakeCase(direction > 0 ? "ascending" : "descending", 18,
                      3001, 33, 64, [] { return 1.0f; });
    for (int64_t i = 0; i < c.rows * c.depth; ++i) {
      const int64_t row = i / c.depth;
      c.table[i] = std::ldexp(float(direction * (row % 256)), row / 256 / 2);
    }
    Check(c);
  }
}

void TestDominantRow(Random& random) {
  std::normal_distribution<float> normal;
  Case c = MakeCase("one dominant row", 40, 1030, 128, 3,
                    [&] { return normal(random); });
  for (int64_t d = 0; d < c.depth; ++d) c.table[1029 * c.depth + d] *= 1e10f;
  Check(c);
}

void TestEdges(Random& random) {
  const auto small = [&] { return float(Uniform(random, -3, 3)); };
  for (int64_t rows : {1, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025, 2049}) {
    Check(MakeCase("k = N", 3, rows, 31, rows, small));
    Check(MakeCase("k = 1", 1, rows, 64, 1, small));
  }
  Check(MakeCase("no query", 0, 10, 8, 3, small));
  for (int64_t batch : {2, 40}) Check(MakeCase("no depth", batch, 100, 0, 60, small));
  Case c = MakeCase("all but k banned", 17, 400, 16, 40, small);
  c.width = 360;
  for (int64_t q = 0; q < c.batch; ++q) {
    std::vector<int64_t> rows(c.rows);
    for (int64_t r = 0; r < c.rows; ++r) rows[r] = r;
    std::shuffle(rows.begin(), rows.end(), random);
    c.banned.insert(c.banned.end(), rows.begin(), rows.begin() + c.width);
  }
  Check(c);
}

// For large k a sample of the table gives the first threshold, and a sample of a large
// sample its own. Here its rows are the best (of which fewer than k then reach it), the
// worst, or like all others.
void TestSamples(Random& random) {
  for (const auto& [batch, rows, depth, k] : std::vector<std::array<int64_t, 4>>{
           {20, 6007, 400, 650}, {3, 20011, 1000, 650}, {5, 30011, 1000, 1300}}) {
    Case c = MakeCase("samples", batch, rows, depth, k, [] { return 0.0f; });
    Ban(&c, random, 9);
    for (int order : {-1, 0, 1}) {
      if (rows > 10000 && order > 0) break;  // large, and much the same
      for (int64_t q = 0; q < batch; ++q) {
        for (int d : {0, 1}) c.queries[q * depth + d] = 1.0f + q % 3 * d;
      }
      for (int64_t r = 0; r < rows; ++r) {
        c.table[r * depth] = order == 0 ? Uniform(random, 0, 255) : order * (r / 64);
        c.table[r * depth + 1] = order * (r % 64) / 64.0f;
      }
      Check(c);
    }
  }
}

void TestAll() {
  TestRandomIntegers(random_bits);
  TestRandomFloats(random_bits);
  TestEqualRows(random_bits);
  TestOrders();
  TestDominantRow(random_bits);
  TestEdges(random_bits);
  TestSamples(random_bits);
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::AvailableKernels(), realm::TestAll);
}
