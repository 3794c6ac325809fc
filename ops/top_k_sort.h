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
// unspecified. Many are sorted by their bytes, lowest first, in time linear in their
// number: each comparison of a sort is a branch that is guessed wrong half the time.
inline void SortGreatest(int64_t k, std::vector<uint64_t>* keys) {
  constexpr int64_t kFew = 256;
  const int64_t count = keys->size();
  if (count <= kFew) {
    std::partial_sort(keys->begin(), keys->begin() + k, keys->end(),
                      std::greater<uint64_t>());
    return;
  }
  int32_t begins[8][256] = {};
  for (uint64_t key : *keys) {
    for (int byte = 0; byte < 8; ++byte) ++begins[byte][~key >> 8 * byte & 255];
  }
  std::vector<uint64_t> sorted(count);
  for (int byte = 0; byte < 8; ++byte) {
    int32_t* begin = begins[byte];
    if (std::find(begin, begin + 256, count) != begin + 256) continue;  // all alike
    int32_t next = 0;
    for (int value = 0; value < 256; ++value) {
      const int32_t here = begin[value];
      begin[value] = next;
      next += here;
    }
    for (uint64_t key : *keys) sorted[begin[~key >> 8 * byte & 255]++] = key;
    keys->swap(sorted);
  }
}

}  // namespace realm

#endif  // REALM_OPS_TOP_K_SORT_H_
