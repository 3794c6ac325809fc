// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The best k of a stream of rows whose scores are known within bounds, in O(k)
// memory. A row is scored exactly only if its bounds do not decide.

#ifndef REALM_OPS_TOP_K_COLLECTOR_H_
#define REALM_OPS_TOP_K_COLLECTOR_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

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

// Less than the key of every row with that score.
inline uint64_t WorstKeyOf(float score) {
  return KeyOf(score, std::numeric_limits<int32_t>::max());
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

// A key that at least k of `low` reach, and not many more: that of a sample's quantile
// where it will do, else the k-th itself.
inline uint64_t NearKth(const uint64_t* low, int64_t count, int64_t k) {
  constexpr int64_t kSample = 512, kMargin = 20;  // two standard deviations
  const std::greater<uint64_t> before;
  const int64_t rank = k * kSample / count + kMargin;
  if (count >= 4 * kSample && rank < kSample) {
    uint64_t sample[kSample];
    for (int64_t i = 0; i < kSample; ++i) sample[i] = low[i * (count / kSample)];
    std::nth_element(sample, sample + rank, sample + kSample, before);
    int64_t reach = 0;
    for (int64_t i = 0; i < count; ++i) reach += low[i] >= sample[rank];
    if (reach >= k && reach <= k + (count - k) / 2) return sample[rank];
  }
  uint64_t few[4 * kSample];
  std::vector<uint64_t> many(count <= 4 * kSample ? 0 : count);
  uint64_t* all = many.empty() ? few : many.data();
  std::copy_n(low, count, all);
  std::nth_element(all, all + k - 1, all + count, before);
  return all[k - 1];
}

// Rows whose keys are within [low, high]; both are the key once a row is scored. `high`
// is null where all are.
struct Candidates {
  uint64_t* low;
  uint64_t* high;

  // Moves those that may have a key of at least `kth` to the front, and counts them.
  int64_t KeepFrom(uint64_t kth, int64_t count) const {
    int64_t kept = 0;
    if (high == nullptr) {
      for (int64_t i = 0; i < count; ++i) {  // without a branch
        const uint64_t key = low[i];
        low[kept] = key;
        kept += key >= kth;
      }
      return kept;
    }
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t least = low[i], most = high[i];
      low[kept] = least;
      high[kept] = most;
      kept += most >= kth;
    }
    return kept;
  }
};

class Collector {
 public:
  // Room for half as many again as are wanted, and some: a selection then costs a
  // constant per candidate, and the threshold lags little.
  static int64_t Capacity(int64_t k) { return k + std::max<int64_t>(k / 2, 16); }

  // `room` is for Capacity(k) candidates, k > 0.
  Collector(Candidates room, int64_t k)
      : all_(room), k_(k), capacity_(Capacity(k)) {}

  // Takes a row that may have a key of at least kth(). Returns whether the threshold may
  // have risen. Where bounds leave too many, `score(row)` gives their keys.
  template <typename Score>
  bool Add(uint64_t low, uint64_t high, const Score& score) {
    all_.low[size_] = low;
    if (all_.high != nullptr) all_.high[size_] = high;
    ++size_;
    __builtin_prefetch(all_.low + size_ + 8, 1);  // a line that no write will wait for
    if (size_ == k_) return SetThreshold();
    if (size_ < capacity_) return false;
    Keep();
    if (all_.high != nullptr && 2 * (capacity_ - size_) < capacity_ - k_) {
      for (int64_t i = 0; i < size_; ++i) {
        if (all_.low[i] != all_.high[i]) {
          all_.low[i] = all_.high[i] = score(RowOf(all_.low[i]));
        }
      }
      Keep();
    }
    return true;
  }

  // Once Add has returned true, k rows have at least this key; 0 before.
  uint64_t kth() const { return kth_; }

  // In no order; the best k of what was offered are among them.
  const Candidates& all() const { return all_; }
  int64_t size() const { return size_; }

 private:
  // What goes has a key below the `low` of k others, so below their keys.
  void Keep() {
    kth_ = NearKth(all_.low, size_, k_);
    size_ = all_.KeepFrom(kth_, size_);
  }

  bool SetThreshold() {
    if (kth_ != 0) return false;
    kth_ = *std::min_element(all_.low, all_.low + k_);
    return true;
  }

  Candidates all_;
  int64_t k_;
  int64_t capacity_;
  int64_t size_ = 0;
  uint64_t kth_ = 0;
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_COLLECTOR_H_
