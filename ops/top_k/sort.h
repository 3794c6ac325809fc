// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Sorting of what a query found.

#ifndef REALM_OPS_TOP_K_SORT_H_
#define REALM_OPS_TOP_K_SORT_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace realm {

// Moves the greatest `k` keys to the front, in descending order; the rest is
// unspecified. Many are sorted by the bytes of their scores, the lowest first, in time
// linear in their number: each comparison of a sort is a branch that is guessed wrong
// half the time. What then has the same score is sorted by row.
inline void SortGreatest(int64_t k, std::vector<uint64_t>* keys) {
  constexpr int64_t kFew = 256;
  const int64_t count = keys->size();
  if (count <= kFew) {
    std::partial_sort(keys->begin(), keys->begin() + k, keys->end(),
                      std::greater<uint64_t>());
    return;
  }
  const auto digit = [](uint64_t key, int byte) { return ~key >> (32 + 8 * byte) & 255; };
  int32_t begins[4][256] = {};
  for (uint64_t key : *keys) {
    for (int byte = 0; byte < 4; ++byte) ++begins[byte][digit(key, byte)];
  }
  std::vector<uint64_t> sorted(count);
  for (int byte = 0; byte < 4; ++byte) {
    int32_t* begin = begins[byte];
    if (std::find(begin, begin + 256, count) != begin + 256) continue;  // all alike
    int32_t next = 0;
    for (int value = 0; value < 256; ++value) {
      const int32_t here = begin[value];
      begin[value] = next;
      next += here;
    }
    for (uint64_t key : *keys) sorted[begin[digit(key, byte)]++] = key;
    keys->swap(sorted);
  }
  for (auto first = keys->begin(); first < keys->begin() + k;) {
    auto end = first + 1;
    while (end != keys->end() && *end >> 32 == *first >> 32) ++end;
    if (end - first > 1) std::sort(first, end, std::greater<uint64_t>());
    first = end;
  }
}

}  // namespace realm

#endif  // REALM_OPS_TOP_K_SORT_H_
