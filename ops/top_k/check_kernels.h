// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Cases for a search, and the check that every kernel that this CPU has answers them as a
// full sort does: with one thread and several, many queries and few, and with a shadow.

#ifndef REALM_OPS_TOP_K_CHECK_KERNELS_H_
#define REALM_OPS_TOP_K_CHECK_KERNELS_H_

#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>
#include <string>

#include "ops/common/run_tests.h"
#include "ops/top_k/brute_force.h"

namespace realm {

using Random = std::mt19937_64;

// The first input.batch queries' answers.
inline void CheckKernels(const Case& c, const TopKInput& input, const Answer& expected) {
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

inline void Check(const Case& c) {
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

inline int64_t Uniform(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

inline Case MakeCase(const std::string& name, int64_t batch, int64_t rows,
                     int64_t depth, int64_t k, const std::function<float()>& value) {
  Case c{name, batch, rows, depth, k, {}, {}, {}};
  c.queries.resize(batch * depth);
  c.table.resize(rows * depth);
  for (float& x : c.queries) x = value();
  for (float& x : c.table) x = value();
  return c;
}

// Bans are drawn so that k rows remain.
inline void Ban(Case* c, Random& random, int64_t width) {
  c->width = width;
  for (int64_t i = 0; i < c->batch * width; ++i) {
    c->banned.push_back(Uniform(random, -1, c->rows + 1));
  }
}

}  // namespace realm

#endif  // REALM_OPS_TOP_K_CHECK_KERNELS_H_
