// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// One thread's share of a search.

#ifndef REALM_OPS_TOP_K_WORKER_H_
#define REALM_OPS_TOP_K_WORKER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "ops/top_k/collector.h"
#include "ops/top_k/inner_product.h"
#include "ops/top_k/panels.h"

namespace realm {

using Panels = std::vector<std::unique_ptr<QueryPanel>>;

// What the workers of one scan share: of the table, every `step`-th block.
struct Search {
  Search(const TopKInput& input, const Kernel& kernel, const Panels& panels,
         int64_t k, int64_t rows_per_block, int64_t step = 1);

  const TopKInput& input;
  const Kernel& kernel;
  const Panels& panels;
  const int64_t k, rows_per_block, step, blocks;
  std::unique_ptr<std::atomic<float>[]> thresholds;  // [batch], only rising
  std::vector<float> guesses;  // [batch] thresholds to begin with, or nothing

  std::mutex mutex;
  std::atomic<bool> failed{false};
  std::optional<NotANumber> failure;

  // Then hits are scored while their rows are in the cache: a good first threshold lets
  // through little more than what will be scored at the end anyway.
  bool HasGuesses() const { return !guesses.empty(); }
  bool ScoresAllOnSight() const { return HasGuesses() && !HasShadow(input); }

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

  const char* RowAt(int64_t row) const {
    // A table without columns may have no address.
    if (input.depth == 0) return "";
    return static_cast<const char*>(input.table) +
           row * input.depth * BytesOf(input.element);
  }

  const QueryPanel& PanelOf(int64_t query) const {
    return **std::upper_bound(
        panels.begin(), panels.end(), query,
        [](int64_t q, const auto& panel) {
          return q < panel->first() + panel->count();
        });
  }

  // The first row of a block that is scanned, or the end of the table.
  int64_t FirstRow(int64_t block) const {
    return std::min(block * step * rows_per_block, input.rows);
  }

  // Has the row brought to the cache.
  void Fetch(int64_t row) const {
    const char* at = RowAt(row);
    for (int64_t i = 0; i < input.depth * BytesOf(input.element); i += 64) {
      __builtin_prefetch(at + i);
    }
  }

  // The key of a row with its score, rounded once. `query` is padded. Fails, and
  // makes it the last of all, if that is not a number.
  uint64_t Score(int64_t query_index, const double* query, int32_t row);
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

  int64_t end_query() const {
    const QueryPanel& last = *search_.panels[last_panel_ - 1];
    return last.first() + last.count();
  }

  // Nothing, if the worker found no block left.
  const Collector* collector(int64_t query) const {
    return collectors_.empty() ? nullptr : &collectors_[query - FirstQuery()];
  }

 private:
  // The banned rows of a query. A worker meets rows in ascending order, so it looks at
  // each once.
  class Bans {
   public:
    Bans(const int32_t* begin, const int32_t* end) : next_(begin), end_(end) { Read(); }

    bool Hold(int32_t row) {
      for (; row_ < row; Read()) ++next_;
      return row_ == row;
    }

   private:
    // No table has the row that stands for the end.
    void Read() {
      row_ = next_ == end_ ? std::numeric_limits<int32_t>::max() : *next_;
    }

    const int32_t *next_, *end_;
    int32_t row_;
  };

  // A scanner's form of a row block.
  struct Loaded {
    std::unique_ptr<AlignedBuffer> scratch;
    std::vector<float> squares, reach;
    RowBlock block;
    bool valid = false;
  };

  int64_t FirstQuery() const { return search_.panels[first_panel_]->first(); }
  void Allocate();
  void AllocateFew();
  void AllocateBlocks();
  void ScanBlock(int64_t index);
  const char* NextPart(int64_t panel, int64_t ahead) const;
  void ScanPanel(int64_t panel);
  void ScanFew();
  void ScoreFew(const QueryPanel& panel);
  void ScoreShadow(const QueryPanel& panel);
  const RowBlock& Load(const Scanner* scanner);
  void StartLanes(const QueryPanel& panel);
  bool TooManyScored(int64_t* debt) const;
  void Take(const Hits& hits);
  void Bound(int lane, int64_t row, float score, uint64_t* low, uint64_t* high);
  uint64_t Score(int lane, int64_t row);
  void Offer(int lane, uint64_t low, uint64_t high);
  float ErrorOf(int lane, int64_t row) const;

  bool ScoresOnSight() const {
    return search_.HasGuesses() && form_ != QueryPanel::kCodes;
  }

  Search& search_;
  std::atomic<int64_t>& next_block_;
  const int64_t first_panel_, last_panel_;

  std::unique_ptr<uint64_t[]> keys_;  // the collectors' room
  std::vector<Collector> collectors_;
  std::vector<Bans> bans_;
  // Per panel: the faster scan's bounds leave too much to score exactly.
  std::vector<bool> wasteful_;
  std::vector<int64_t> debts_;

  Loaded loaded_[2];  // as floats, and as rounded
  // [kMaxFew, kMaxBlockRows] each; null if the queries are many.
  std::unique_ptr<AlignedBuffer> scores_, allowances_;

  // The scan that is running.
  const QueryPanel* panel_ = nullptr;
  Collector* collectors_of_panel_ = nullptr;
  Bans* bans_of_panel_ = nullptr;
  QueryPanel::Form form_ = QueryPanel::kFloats;
  int64_t first_row_ = 0, row_count_ = 0, next_row_ = 0;
  int64_t scored_ = 0;
  float cut_[kMaxStrips * kStrip];
  float thresholds_[kMaxStrips * kStrip];
  uint64_t wanted_[kMaxStrips * kStrip];  // lesser keys are not
  uint64_t low_[kMaxHits], high_[kMaxHits];
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_WORKER_H_
