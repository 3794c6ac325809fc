// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Numbers at the ends of what a float can be, and beyond: sums that overflow, products that
// vanish, infinities, and what is not a number.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "ops/top_k/check_kernels.h"
#include "ops/top_k/tiny_numbers.h"

namespace realm {
namespace {

void TestExtremes(Random& random) {
  std::normal_distribution<float> normal;
  // Norms from denormal to the largest: sums that overflow float, squares that
  // vanish, and bounds that can be neither.
  for (const auto& [low, high] : std::vector<std::pair<int, int>>{
           {-149, -120}, {-100, -90}, {-80, -60}, {-149, 127}, {50, 70}, {100, 127}}) {
    Case c = MakeCase("norms of 2^" + std::to_string(low) + " to 2^" +
                          std::to_string(high),
                      60, 1777, 37, 2, [&, low = low, high = high] {
                        return std::ldexp(normal(random) > 0 ? 1.5f : -1.25f,
                                          Uniform(random, low, high));
                      });
    Check(c);
    for (float& x : c.queries) x = normal(random);
    Check(c);
  }
}

// The best row's products overflow a float, and cancel in a double: score 0.
void TestOverflowThatCancels() {
  Case c = MakeCase("overflow that cancels", 20, 1000, 48, 3, [] { return 0; });
  for (int64_t q = 0; q < c.batch; ++q) {
    float* query = &c.queries[q * c.depth];
    query[0] = query[1] = std::ldexp(1.0f, 70);
    query[2] = 1;
  }
  for (int64_t r = 0; r < c.rows; ++r) c.table[r * c.depth + 2] = -1.0f - r % 7;
  float* best = &c.table[901 * c.depth];
  best[0] = -std::ldexp(1.0f, 60);
  best[1] = -best[0];
  best[2] = 0;
  Check(c);
}

// As on TensorFlow's threads, which the threads of this search are made by.
void TestTinyNumbersWhereTheyAreDropped(Random& random) {
  Case c = MakeCase("tiny numbers", 9, 700, 21, 3, [&] {
    return std::ldexp(float(Uniform(random, -9, 9)), Uniform(random, -149, -140));
  });
  for (float& x : c.queries) x = Uniform(random, -2, 2);
  const BannedRows banned = BannedRows::From(c.banned.data(), c.batch, 0, c.rows);
  for (Element element : {Element::kFloat32, Element::kBfloat16}) {
    const Stored table(c, element);
    const Answer expected = BruteForce(c, table);
    const TopKInput input = {c.queries.data(), table.data(), element, c.batch,
                             c.rows,           c.depth,      c.k,     &banned};
    for (const Kernel& kernel : AvailableKernels()) {
      Answer actual = expected;
      std::fill(actual.scores.begin(), actual.scores.end(), -1.0f);
      {
        const KeepTinyNumbers drop(false);
        TopKInnerProduct(input, kernel, RunOnThreads, 2, actual.scores.data(),
                         actual.rows.data());
      }
      if (actual.scores == expected.scores && actual.rows == expected.rows) continue;
      ++failures;
      std::printf("FAILED tiny numbers that are dropped: kernel %s\n", kernel.name);
    }
  }
}

void TestInfinities(Random& random) {
  Case c = MakeCase("infinities", 5, 300, 24, 100,
                    [&] { return float(Uniform(random, 1, 9)); });
  const float infinity = std::numeric_limits<float>::infinity();
  for (int i = 0; i < 20; ++i) {
    c.table[Uniform(random, 0, c.rows - 1) * c.depth] =
        i % 2 ? infinity : -infinity;
  }
  Check(c);
}

// Row 777 must be found out.
void FindNotANumber(const TopKInput& input, const char* name) {
  for (const Kernel& kernel : AvailableKernels()) {
    Answer answer;
    answer.scores.resize(input.batch * input.k);
    answer.rows.resize(input.batch * input.k);
    const auto found = TopKInnerProduct(input, kernel, RunOnThreads, 2,
                                        answer.scores.data(), answer.rows.data());
    if (found && found->row == 777) continue;
    ++failures;
    std::printf("FAILED not a number: kernel %s, %s\n", kernel.name, name);
  }
}

void TestNotANumber(Random& random) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto& [bad, other] : std::vector<std::pair<float, float>>{
           {nan, 1}, {-nan, 0}, {infinity, 0}, {-infinity, -0.0f}}) {
    Case c = MakeCase("not a number", 21, 1200, 40, 2,
                      [&] { return float(Uniform(random, 1, 4)); });
    // Among rows so far below the best that nothing else would look at them.
    c.table[777 * c.depth + 39] = bad;
    for (int64_t d = 0; d < 39; ++d) c.table[777 * c.depth + d] = -100;
    for (int64_t q = 0; q < c.batch; ++q) c.queries[q * c.depth + 39] = other;
    const BannedRows banned =
        BannedRows::From(c.banned.data(), c.batch, 0, c.rows);
    for (Element element : {Element::kFloat32, Element::kBfloat16}) {
      const Stored table(c, element);
      const Shadow shadow(c, table);
      TopKInput input = {c.queries.data(), table.data(), element, c.batch,
                         c.rows,           c.depth,      c.k,     &banned};
      FindNotANumber(input, "many queries");
      input.batch = 3;
      FindNotANumber(input, "few queries");
      input.codes = shadow.codes.data();
      input.bounds = shadow.bounds.data();
      FindNotANumber(input, "shadow");
    }
  }
}

void TestAll() {
  TestExtremes(random_bits);
  TestOverflowThatCancels();
  TestTinyNumbersWhereTheyAreDropped(random_bits);
  TestInfinities(random_bits);
  TestNotANumber(random_bits);
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::AvailableKernels(), realm::TestAll);
}
