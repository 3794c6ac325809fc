// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "top_k_worker.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace realm {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// A pair that passed in vain costs about as much as this many that did not.
constexpr int64_t kCostOfWaste = 16;

}  // namespace

void Worker::Allocate() {
  const TopKInput& input = search_.input;
  const QueryPanel& last = *search_.panels[last_panel_ - 1];
  const int64_t queries = last.first() + last.count() - FirstQuery();
  const int64_t capacity = Collector::Capacity(input.k);
  keys_.reset(new uint64_t[queries * capacity]);
  collectors_.reserve(queries);
  for (int64_t q = 0; q < queries; ++q) {
    collectors_.emplace_back(keys_.get() + q * capacity, input.k);
  }
  wasteful_.assign(last_panel_ - first_panel_,
                   search_.kernel.rounding == nullptr);
  const int64_t depth = (input.depth + kTileDepth - 1) / kTileDepth * kTileDepth;
  for (bool rounds : {false, true}) {
    Loaded& loaded = loaded_[rounds];
    if (rounds && search_.kernel.rounding == nullptr) continue;
    loaded.scratch = std::make_unique<AlignedBuffer>(
        search_.rows_per_block * depth * (rounds ? 2 : 4));
    loaded.squares.resize(search_.rows_per_block / kStrip);
    loaded.reach.resize(search_.rows_per_block / kStrip);
  }
}

void Worker::Run() {
  int64_t block = next_block_++;
  if (block >= search_.blocks) return;
  Allocate();
  const KeepTinyNumbers keep;
  const Scanner* rounding = search_.kernel.rounding;
  if (rounding != nullptr && rounding->enter != nullptr) rounding->enter();
  for (; block < search_.blocks && !search_.failed; block = next_block_++) {
    ScanBlock(block);
  }
  if (rounding != nullptr && rounding->leave != nullptr) rounding->leave();
}

void Worker::ScanBlock(int64_t index) {
  const int64_t first = index * search_.rows_per_block;
  const int64_t count =
      std::min(search_.rows_per_block, search_.input.rows - first);
  loaded_[0].valid = loaded_[1].valid = false;
  for (int64_t p = first_panel_; p < last_panel_ && !search_.failed; ++p) {
    ScanPanel(p, first, count);
  }
}

const RowBlock& Worker::Load(const Scanner* scanner, int64_t first_row,
                             int64_t count) {
  const TopKInput& input = search_.input;
  Loaded& loaded = loaded_[scanner->rounds];
  if (loaded.valid) return loaded.block;
  loaded.valid = true;
  loaded.block.squares = loaded.squares.data();
  loaded.block.reach = loaded.reach.data();
  // A table without columns may have no address.
  const char* table =
      input.depth == 0 ? "" : static_cast<const char*>(input.table);
  scanner->load(table + first_row * input.depth * BytesOf(input.element),
                input.element, count, input.depth,
                loaded.scratch->As<void>(), &loaded.block);
  const bool rounded = scanner->rounds && input.element == Element::kFloat32;
  for (int64_t g = 0; g < loaded.block.count / kStrip; ++g) {
    loaded.reach[g] = ReachOf(loaded.squares[g], input.depth, rounded);
  }
  return loaded.block;
}

void Worker::ScanPanel(int64_t p, int64_t first_row, int64_t count) {
  const bool exact = wasteful_[p - first_panel_];
  scanner_ = exact ? search_.kernel.exact : search_.kernel.rounding;
  panel_ = search_.panels[p].get();
  first_row_ = first_row;
  row_count_ = count;
  wasted_ = 0;
  const int lanes = panel_->strips() * kStrip;
  for (int lane = 0; lane < lanes; ++lane) {
    const bool real = lane < panel_->count();
    thresholds_[lane] =
        real ? search_.thresholds[panel_->first() + lane].load(
                   std::memory_order_relaxed)
             : kLowest;
    cut_[lane] = panel_->Cut(scanner_, lane, thresholds_[lane]);
  }
  const Panel panel = {panel_->packed(scanner_), panel_->strips(), cut_,
                       panel_->slopes(scanner_)};
  const HitSink sink = {
      [](void* self, int lane, int64_t row) {
        static_cast<Worker*>(self)->Hit(lane, row);
      },
      this};
  scanner_->scan(Load(scanner_, first_row, count), search_.input.depth, panel,
                 sink);
  if (wasted_ * kCostOfWaste > panel_->count() * count) {
    wasteful_[p - first_panel_] = true;
  }
}

void Worker::Hit(int lane, int64_t row) {
  if (lane >= panel_->count() || row >= row_count_) return;  // padding
  const TopKInput& input = search_.input;
  const int64_t query = panel_->first() + lane;
  const int64_t table_row = first_row_ + row;
  const char* at = static_cast<const char*>(input.table) +
                   table_row * input.depth * BytesOf(input.element);
  const double sum = search_.kernel.exact->dot(panel_->query(lane), at,
                                               input.element, input.depth);
  if (std::isnan(sum)) return search_.Fail({query, table_row});
  const float score = static_cast<float>(sum);
  if (score < thresholds_[lane]) {
    ++wasted_;
    return;
  }
  const int32_t id = static_cast<int32_t>(table_row);
  if (input.banned->Contains(query, id)) return;
  Collector& collector = collectors_[query - FirstQuery()];
  if (!collector.Offer(KeyOf(score, id))) return;
  if (collector.threshold() > thresholds_[lane]) {
    thresholds_[lane] = collector.threshold();
    cut_[lane] = panel_->Cut(scanner_, lane, thresholds_[lane]);
    search_.Raise(query, thresholds_[lane]);
  }
}

}  // namespace realm
