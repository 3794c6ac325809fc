// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What the tests compare a search with: all scores, fully sorted.

#ifndef REALM_OPS_TOP_K_BRUTE_FORCE_H_
#define REALM_OPS_TOP_K_BRUTE_FORCE_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ops/top_k/inner_product.h"
#include "ops/top_k/shadow.h"

namespace realm {

// On real threads, so that workers race for row blocks as they will in use.
inline void RunOnThreads(int64_t n, const std::function<void(int64_t)>& body) {
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < n; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

inline uint16_t CutToBfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits >> 16;
}

inline float FromBfloat16(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct Case {
  std::string name;
  int64_t batch, rows, depth, k;
  std::vector<float> queries, table;
  std::vector<int64_t> banned;  // [batch, width]
  int64_t width = 0;
};

struct Answer {
  std::vector<float> scores;
  std::vector<int32_t> rows;
};

// The table as the op stores it.
struct Stored {
  Element element;
  std::vector<float> values;     // as the op must see them
  std::vector<uint16_t> halves;  // if bfloat16

  Stored(const Case& c, Element element) : element(element), values(c.table) {
    if (element == Element::kFloat32) return;
    for (float& x : values) {
      halves.push_back(CutToBfloat16(x));
      x = FromBfloat16(halves.back());
    }
  }
  const void* data() const {
    return element == Element::kFloat32 ? static_cast<const void*>(values.data())
                                        : halves.data();
  }
};

// In the order of summation that Scanner::dot documents.
inline float Score(const Case& c, const Stored& table, int64_t query, int64_t row) {
  double sums[16] = {};
  for (int64_t d = 0; d < c.depth; ++d) {
    sums[d % 16] += double{c.queries[query * c.depth + d]} *
                    table.values[row * c.depth + d];
  }
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return static_cast<float>(sums[0]);
}

inline Answer BruteForce(const Case& c, const Stored& table) {
  Answer answer;
  for (int64_t q = 0; q < c.batch; ++q) {
    std::vector<std::pair<float, int32_t>> all;
    for (int64_t r = 0; r < c.rows; ++r) {
      const auto begin = c.banned.begin() + q * c.width;
      if (std::find(begin, begin + c.width, r) == begin + c.width) {
        all.emplace_back(-Score(c, table, q, r), r);
      }
    }
    std::sort(all.begin(), all.end());
    for (int64_t i = 0; i < c.k; ++i) {
      answer.scores.push_back(-all[i].first);
      answer.rows.push_back(all[i].second);
    }
  }
  return answer;
}

// The table's shadow, as the op makes it.
struct Shadow {
  std::vector<int8_t> codes;
  std::vector<float> bounds;

  Shadow(const Case& c, const Stored& table)
      : codes(c.rows * ShadowStride(c.depth)), bounds(2 * c.rows) {
    MakeShadow(table.data(), table.element, c.rows, c.depth, RunOnThreads,
               codes.data(), bounds.data());
  }
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_BRUTE_FORCE_H_
