// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Compares every kernel that this CPU has with a full sort, on random integers
// (where every order of summation is exact) and on adversarial tables.
//
//   top_k_inner_product_test [seed]

#include "ops/top_k/brute_force.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace realm {
namespace {

using Random = std::mt19937_64;

int failures = 0;

// The first input.batch queries' answers.
void CheckKernels(const Case& c, const TopKInput& input, const Answer& expected) {
  const auto begins = [&](const auto& all, const auto& part) {
    return std::equal(part.begin(), part.end(), all.begin());
  };
  for (const Kernel& kernel : AvailableKernels()) {
    for (int64_t threads : {1, 3}) {
      Answer actual;
      actual.scores.resize(input.batch * c.k);
      actual.rows.resize(input.batch * c.k);
      const auto nan = TopKInnerProduct(input, kernel, RunOnThreads, threads,
                                        actual.scores.data(), actual.rows.data());
      if (!nan && begins(expected.rows, actual.rows) &&
          begins(expected.scores, actual.scores)) {
        continue;
      }
      ++failures;
      std::printf(
          "FAILED %s: kernel %s, %s, %s, %d threads, B=%d N=%d D=%d k=%d\n",
          c.name.c_str(), kernel.name,
          input.element == Element::kFloat32 ? "float32" : "bfloat16",
          input.codes == nullptr ? "no shadow" : "shadow", int(threads),
          int(input.batch), int(c.rows), int(c.depth), int(c.k));
    }
  }
}

void Check(const Case& c) {
  static int turn = 0;
  const BannedRows banned =
      BannedRows::From(c.banned.data(), c.batch, c.width, c.rows);
  for (Element element : {Element::kFloat32, Element::kBfloat16}) {
    const Stored table(c, element);
    const Answer expected = BruteForce(c, table);
    TopKInput input = {c.queries.data(), table.data(), element, c.batch,
                       c.rows,           c.depth,      c.k,     &banned};
    CheckKernels(c, input, expected);
    // A few queries go another way, and yet another where there is a shadow.
    input.batch = std::min<int64_t>(c.batch, 1 + turn++ % kMaxFew);
    CheckKernels(c, input, expected);
    const Shadow shadow(c, table);
    input.codes = shadow.codes.data();
    input.bounds = shadow.bounds.data();
    CheckKernels(c, input, expected);
  }
}

int64_t Uniform(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

Case MakeCase(const std::string& name, int64_t batch, int64_t rows,
              int64_t depth, int64_t k, const std::function<float()>& value) {
  Case c{name, batch, rows, depth, k, {}, {}, {}};
  c.queries.resize(batch * depth);
  c.table.resize(rows * depth);
  for (float& x : c.queries) x = value();
  for (float& x : c.table) x = value();
  return c;
}

// Bans are drawn so that k rows remain.
void Ban(Case* c, Random& random, int64_t width) {
  c->width = width;
  for (int64_t i = 0; i < c->batch * width; ++i) {
    c->banned.push_back(Uniform(random, -1, c->rows + 1));
  }
}

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

// As many rows as are wanted may still reach such a threshold by their bounds, not by
// their scores: the first 64 rows, which a sample holds, are better by about as much
// as codes of eight bits lose.
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

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  const uint64_t seed =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device()();
  std::printf("seed %llu; kernels:", static_cast<unsigned long long>(seed));
  for (const realm::Kernel& kernel : realm::AvailableKernels()) {
    std::printf(" %s", kernel.name);
  }
  std::printf("\n");
  realm::Random random(seed);
  realm::TestRandomIntegers(random);
  realm::TestRandomFloats(random);
  realm::TestEqualRows(random);
  realm::TestExtremes(random);
  realm::TestOverflowThatCancels();
  realm::TestInfinities(random);
  realm::TestOrders();
  realm::TestDominantRow(random);
  realm::TestEdges(random);
  realm::TestSamples(random);
  realm::TestSamplesWithinBounds(random);
  realm::TestNotANumber(random);
  realm::TestShadowBounds(random);
  if (realm::failures > 0) {
    std::printf("%d failures; run again with seed %llu\n", realm::failures,
                static_cast<unsigned long long>(seed));
    return 1;
  }
  std::printf("all answers equal a full sort\n");
  return 0;
}
