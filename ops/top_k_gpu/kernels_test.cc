// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The kernels for GPUs, emulated: answers are those of a full sort, and no product of the
// scan is further off than its bound.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "ops/common/run_tests.h"
#include "ops/top_k/brute_force.h"
#include "ops/top_k_gpu/launch.h"

namespace realm {
namespace {

struct Emulator {
  const char* name;
};

constexpr gpu::Device kDevice = {3, 1 << 20};

struct Emulated {
  Answer answer;
  int32_t problem = -1;
  std::vector<char> memory;
  gpu::Plan plan;
};

template <typename T, int NT, typename Shape>
Emulated Run(const Case& c, const Stored& table) {
  Emulated result;
  result.answer.scores.resize(c.batch * c.k);
  result.answer.rows.resize(c.batch * c.k);
  const gpu::Search search = {c.queries.data(), table.data(), sizeof(T) == 2, c.batch, c.rows,
                              c.depth, c.k, result.answer.scores.data(),
                              result.answer.rows.data(), &result.problem};
  const int warps = kDevice.processors * Shape::kWarps;
  result.memory.assign(gpu::PlanOf(search, 8 * NT, warps, nullptr).bytes + 256,
                       static_cast<char>(0xff));
  const auto begin = reinterpret_cast<uintptr_t>(result.memory.data());
  void* workspace = result.memory.data() + (256 - begin % 256);
  gpu::Launch<T, NT, Shape>(search, kDevice, workspace, nullptr);
  result.plan = gpu::PlanOf(search, 8 * NT, warps, workspace);
  return result;
}

// Of the queries of the last launch.
bool KeepsItsBounds(const Case& c, const Stored& table, const Emulated& run) {
  const gpu::Choice& s = run.plan.choice;
  const int64_t first = (c.batch - 1) / s.columns * s.columns;
  for (int64_t q = first; q < c.batch; ++q) {
    for (int64_t begin = 0; begin < c.rows; begin += gpu::kGroupRows) {
      double most = -std::numeric_limits<double>::infinity();
      for (int64_t r = begin; r < std::min(c.rows, begin + gpu::kGroupRows); ++r) {
        double sum = 0;
        for (int64_t d = 0; d < c.depth; ++d) {
          sum += double{c.queries[q * c.depth + d]} * table.values[r * c.depth + d];
        }
        most = std::max(most, sum);
      }
      const int64_t group = begin / gpu::kGroupRows;
      const double error = std::abs(std::ldexp(most, -s.exponents[q - first]) -
                                    s.maxima[group * s.columns + q - first]);
      if (error > double{s.slopes[q - first]} * s.reach[group]) return false;
    }
  }
  return true;
}

enum Wanted { kAnswer, kProblem };

template <typename T, int NT, typename Shape>
void Check(const Case& c, Wanted wanted = kAnswer) {
  const Stored table(c, sizeof(T) == 2 ? Element::kBfloat16 : Element::kFloat32);
  const Emulated run = Run<T, NT, Shape>(c, table);
  bool right = (run.problem != 0) == (wanted == kProblem);
  if (wanted == kAnswer) {
    const Answer expected = BruteForce(c, table);
    right = right && expected.rows == run.answer.rows &&
            expected.scores == run.answer.scores && KeepsItsBounds(c, table, run);
  }
  if (right) return;
  ++failures;
  std::printf("FAILED %s: %zu bytes, B=%d N=%d D=%d k=%d, problem %d\n", c.name.c_str(),
              sizeof(T), int(c.batch), int(c.rows), int(c.depth), int(c.k), run.problem);
}

Case Normal(const char* name, int64_t batch, int64_t rows, int64_t depth, int64_t k) {
  std::normal_distribution<float> normal;
  Case c;
  c.name = name, c.batch = batch, c.rows = rows, c.depth = depth, c.k = k;
  for (int64_t i = 0; i < batch * depth; ++i) c.queries.push_back(normal(random_bits));
  for (int64_t i = 0; i < rows * depth; ++i) c.table.push_back(normal(random_bits));
  return c;
}

void TestShapes() {
  using Few = gpu::Shape<2, 4>;
  using Many = gpu::Shape<4, 3>;
  Check<float, 1, Many>(Normal("one query", 1, 700, 128, 8));
  Check<gpu::Bfloat16, 1, Many>(Normal("one query", 1, 700, 128, 8));
  Check<float, 8, Few>(Normal("many queries", 60, 131, 64, 4));
  Check<gpu::Bfloat16, 8, Few>(Normal("many queries", 60, 131, 64, 4));
  Check<float, 2, gpu::Shape<2, 2>>(Normal("several launches", 20, 99, 36, 5));
  Check<gpu::Bfloat16, 4, Few>(Normal("a part of a chunk", 17, 99, 72, 5));
  Check<float, 1, Few>(Normal("fewer rows than a group", 3, 5, 4, 5));
}

void TestTies() {
  Case c = Normal("ties", 2, 500, 32, 60);
  for (int64_t r = 100; r < 140; ++r) {
    std::copy_n(c.table.begin(), c.depth, c.table.begin() + r * c.depth);
  }
  Check<float, 1, gpu::Shape<4, 3>>(c);
  c = Normal("too many ties", 1, 4200, 4, 2);
  for (int64_t i = 0; i < c.rows * c.depth; ++i) c.table[i] = 1;
  Check<float, 1, gpu::Shape<4, 3>>(c, kProblem);
}

void TestScales() {
  using Shape = gpu::Shape<4, 3>;
  for (const auto& [of_queries, of_rows] : std::vector<std::pair<float, float>>{
           {1, 1e30f}, {1e-12f, 1e-30f}, {1e23f, 1e16f}, {0, 1}, {1e-42f, 1e3f}}) {
    Case c = Normal("scales", 2, 500, 32, 9);
    for (float& x : c.queries) x *= of_queries;
    for (float& x : c.table) x *= of_rows;
    for (int64_t d = 0; d < c.depth; ++d) c.table[77 * c.depth + d] *= 1000;
    const bool close = of_rows > 1e-20f && of_rows < 1e18f;
    const Stored table(c, Element::kFloat32);
    const Emulated run = Run<float, 1, Shape>(c, table);
    const Answer expected = BruteForce(c, table);
    if (run.problem != 0 || expected.rows != run.answer.rows ||
        expected.scores != run.answer.scores || (close && !KeepsItsBounds(c, table, run))) {
      ++failures;
      std::printf("FAILED scales: queries %g, rows %g\n", of_queries, of_rows);
    }
  }
}

void TestNotFinite() {
  using Shape = gpu::Shape<4, 3>;
  Case c = Normal("NaN in a row", 2, 200, 32, 9);
  c.table[77 * c.depth + 3] = std::numeric_limits<float>::quiet_NaN();
  Check<float, 1, Shape>(c, kProblem);
  Check<gpu::Bfloat16, 1, Shape>(c, kProblem);
  c = Normal("NaN in a query", 2, 200, 32, 9);
  c.queries[40] = std::numeric_limits<float>::quiet_NaN();
  Check<float, 1, Shape>(c, kProblem);
  c = Normal("infinite", 2, 200, 32, 9);
  c.table[77 * c.depth + 3] = std::numeric_limits<float>::infinity();
  const Stored table(c, Element::kFloat32);
  const Emulated run = Run<float, 1, Shape>(c, table);
  const Answer expected = BruteForce(c, table);
  if (run.problem != 0 || expected.rows != run.answer.rows) {
    ++failures;
    std::printf("FAILED infinite\n");
  }
}

void TestAll() {
  TestShapes();
  TestTies();
  TestScales();
  TestNotFinite();
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  const realm::Emulator kernels[] = {{"emulated GPU"}};
  return realm::RunTests(argc, argv, kernels, realm::TestAll);
}
