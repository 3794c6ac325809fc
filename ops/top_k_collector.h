// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The best k of a stream of scored rows, in O(k) memory.

#ifndef REALM_OPS_TOP_K_COLLECTOR_H_
#define REALM_OPS_TOP_K_COLLECTOR_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>

namespace realm {

// A score and a row in one number, greater for the better pair: a higher score,
// or the same and a lower row. Zero is less than every key of a number.
inline uint64_t KeyOf(float score, int32_t row) {
  score += 0.0f;  // -0 equals 0
  uint32_t bits;
  std::memcpy(&bits, &score, sizeof(bits));
  bits = bits >> 31 ? ~bits : bits | 0x80000000u;
  return uint64_t{bits} << 32 | (0xffffffffu - static_cast<uint32_t>(row));
}

inline float ScoreOf(uint64_t key) {
  uint32_t bits = static_cast<uint32_t>(key >> 32);
  bits = bits >> 31 ? bits & 0x7fffffffu : ~bits;
  float score;
  std::memcpy(&score, &bits, sizeof(score));
  return score;
}

inline int32_t RowOf(uint64_t key) {
  return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(key));
}

class Collector {
 public:
  // Room for half as many again as are wanted: a selection then costs a
  // constant per key, and the threshold lags little.
  static int64_t Capacity(int64_t k) { return k + k / 2 + 1; }

  // `keys` has room for Capacity(k), k > 0.
  Collector(uint64_t* keys, int64_t k)
      : keys_(keys), k_(k), capacity_(Capacity(k)) {}

  // Returns whether the threshold rose.
  bool Offer(uint64_t key) {
    if (key < kth_) return false;
    keys_[size_++] = key;
    if (size_ != capacity_ && !(size_ == k_ && kth_ == 0)) return false;
    std::nth_element(keys_, keys_ + k_ - 1, keys_ + size_,
                     std::greater<uint64_t>());
    kth_ = keys_[k_ - 1];
    size_ = k_;
    return true;
  }

  // Once Offer has returned true, k rows have at least this score.
  float threshold() const { return ScoreOf(kth_); }

  // In no order; the best k of what was offered are among them.
  const uint64_t* begin() const { return keys_; }
  const uint64_t* end() const { return keys_ + size_; }

 private:
  uint64_t* keys_;
  int64_t k_;
  int64_t capacity_;
  int64_t size_ = 0;
  uint64_t kth_ = 0;
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_COLLECTOR_H_
