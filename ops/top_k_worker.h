// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// One thread's share of a search.

#ifndef REALM_OPS_TOP_K_WORKER_H_
#define REALM_OPS_TOP_K_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "top_k_collector.h"
#include "top_k_inner_product.h"
#include "top_k_panels.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace realm {

// TensorFlow's threads take numbers below 2^-126 for zero; a score must not.
class KeepTinyNumbers {
 public:
#if defined(__x86_64__)
  KeepTinyNumbers() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ & ~0x8040u); }
  ~KeepTinyNumbers() { _mm_setcsr(saved_); }

 private:
  const unsigned saved_;
#endif
};

// What the workers share.
struct Search {
  Search(const TopKInput& input, const Kernel& kernel)
      : input(input), kernel(kernel) {}

  const TopKInput& input;
  const Kernel& kernel;
  int64_t rows_per_block = 0;
  int64_t blocks = 0;
  std::vector<std::unique_ptr<QueryPanel>> panels;
  std::unique_ptr<std::atomic<float>[]> thresholds;  // [batch], only rising

  std::mutex mutex;
  std::atomic<bool> failed{false};
  std::optional<NotANumber> failure;

  void Fail(NotANumber pair) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!failure) failure = pair;
    failed = true;
  }

  void Raise(int64_t query, float threshold) {
    float known = thresholds[query].load(std::memory_order_relaxed);
    while (known < threshold && !thresholds[query].compare_exchange_weak(
                                    known, threshold, std::memory_order_relaxed)) {
    }
  }
};

// Panels [first_panel, last_panel) against whatever row blocks are left.
class Worker {
 public:
  Worker(Search* search, std::atomic<int64_t>* next_block, int64_t first_panel,
         int64_t last_panel)
      : search_(*search),
        next_block_(*next_block),
        first_panel_(first_panel),
        last_panel_(last_panel) {}

  void Run();

  // Nothing, if the worker found no block left.
  const Collector* collector(int64_t query) const {
    return collectors_.empty() ? nullptr : &collectors_[query - FirstQuery()];
  }

 private:
  int64_t FirstQuery() const { return search_.panels[first_panel_]->first(); }
  void Allocate();
  void ScanBlock(int64_t index);
  void ScanPanel(int64_t panel, int64_t first_row, int64_t count);
  const RowBlock& Load(const Scanner* scanner, int64_t first_row,
                       int64_t count);
  void Hit(int lane, int64_t row);

  Search& search_;
  std::atomic<int64_t>& next_block_;
  const int64_t first_panel_, last_panel_;

  std::unique_ptr<uint64_t[]> keys_;
  std::vector<Collector> collectors_;
  std::vector<bool> wasteful_;  // per panel: rounding lets too much through

  // Row blocks: as rounded, and as floats.
  struct Loaded {
    std::unique_ptr<AlignedBuffer> scratch;
    std::vector<float> squares, reach;
    RowBlock block;
    bool valid = false;
  };
  Loaded loaded_[2];

  // The scan that is running.
  const QueryPanel* panel_ = nullptr;
  const Scanner* scanner_ = nullptr;
  int64_t first_row_ = 0, row_count_ = 0;
  int64_t wasted_ = 0;
  float cut_[kMaxStrips * kStrip];
  float thresholds_[kMaxStrips * kStrip];
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_WORKER_H_
