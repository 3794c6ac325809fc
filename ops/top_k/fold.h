// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Sums across vectors. Internal linkage, for the reason given in scan.h.

#ifndef REALM_OPS_TOP_K_FOLD_H_
#define REALM_OPS_TOP_K_FOLD_H_

#include <utility>

namespace realm {
namespace {

// The even blocks of a and b, and the odd ones, added.
template <int kBlock, typename V, int... kLanes>
inline V Fold(V a, V b, std::integer_sequence<int, kLanes...>) {
  return __builtin_shufflevector(
             a, b, (kLanes / kBlock * 2 * kBlock + kLanes % kBlock)...) +
         __builtin_shufflevector(
             a, b, (kLanes / kBlock * 2 * kBlock + kLanes % kBlock + kBlock)...);
}

// Lane i becomes the sum over the lanes of v[i]; v, as many as lanes, is spent.
template <typename V, int kBlock = sizeof(V) / 8>
inline V SumEach(V* v) {
  constexpr std::make_integer_sequence<int, sizeof(V) / 4> kLanes;
  for (int i = 0; i < kBlock; ++i) {
    v[i] = Fold<kBlock>(v[2 * i], v[2 * i + 1], kLanes);
  }
  if constexpr (kBlock > 1) return SumEach<V, kBlock / 2>(v);
  return v[0];
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TOP_K_FOLD_H_
