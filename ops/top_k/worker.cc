// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/worker.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/top_k/tiny_numbers.h"

namespace realm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// An exact score costs about as much as scanning this many pairs.
constexpr int64_t kCostOfScore = 64;

}  // namespace

Search::Search(const TopKInput& input, const Kernel& kernel, const Panels& panels,
               int64_t k, int64_t rows_per_block, int64_t step)
    : input(input),
      kernel(kernel),
      panels(panels),
      k(k),
      rows_per_block(rows_per_block),
      step(step),
      blocks((input.rows + step * rows_per_block - 1) / (step * rows_per_block)),
      thresholds(new std::atomic<float>[input.batch]) {
  for (int64_t q = 0; q < input.batch; ++q) thresholds[q] = -kInfinity;
}

uint64_t Search::Score(int64_t query_index, const double* query, int32_t row) {
  const double sum =
      kernel.exact->dot(query, RowAt(row), input.element, input.depth);
  if (std::isnan(sum)) {
    Fail({query_index, row});
    return KeyOf(-kInfinity, row);
  }
  return KeyOf(static_cast<float>(sum), row);
}

void Worker::Allocate() {
  const TopKInput& input = search_.input;
  const int64_t queries = end_query() - FirstQuery();
  const int64_t capacity = Collector::Capacity(search_.k);
  const int64_t arrays = search_.ScoresAllOnSight() ? 1 : 2;
  keys_.reset(new uint64_t[queries * capacity * arrays]);
  collectors_.reserve(queries);
  bans_.reserve(queries);
  for (int64_t q = 0; q < queries; ++q) {
    uint64_t* low = keys_.get() + q * capacity * arrays;
    collectors_.emplace_back(Candidates{low, arrays == 1 ? nullptr : low + capacity},
                             search_.k);
    bans_.emplace_back(input.banned->Begin(FirstQuery() + q),
                       input.banned->End(FirstQuery() + q));
  }
  wasteful_.assign(last_panel_ - first_panel_, false);
  debts_.assign(last_panel_ - first_panel_, 0);
  IsFew(input) ? AllocateFew() : AllocateBlocks();
}

void Worker::AllocateFew() {
  const int64_t bytes = kMaxFew * kMaxBlockRows * sizeof(float);
  scores_ = std::make_unique<AlignedBuffer>(bytes);
  allowances_ = std::make_unique<AlignedBuffer>(bytes);
}

void Worker::AllocateBlocks() {
  const int64_t depth =
      (search_.input.depth + kTileDepth - 1) / kTileDepth * kTileDepth;
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
  while (block < search_.blocks && !search_.failed) {
    const int64_t next = next_block_++;
    next_row_ = search_.FirstRow(next);
    ScanBlock(block);
    block = next;
  }
  if (rounding != nullptr && rounding->leave != nullptr) rounding->leave();
}

void Worker::ScanBlock(int64_t index) {
  first_row_ = search_.FirstRow(index);
  row_count_ =
      std::min(search_.rows_per_block, search_.input.rows - first_row_);
  if (scores_ != nullptr) return ScanFew();
  loaded_[0].valid = loaded_[1].valid = false;
  for (int64_t p = first_panel_; p < last_panel_ && !search_.failed; ++p) {
    ScanPanel(p);
  }
}

const RowBlock& Worker::Load(const Scanner* scanner) {
  const TopKInput& input = search_.input;
  Loaded& loaded = loaded_[scanner->rounds];
  if (loaded.valid) return loaded.block;
  loaded.valid = true;
  loaded.block.squares = loaded.squares.data();
  loaded.block.reach = loaded.reach.data();
  scanner->load(search_.RowAt(first_row_), input.element, row_count_,
                input.depth, loaded.scratch->As<void>(), &loaded.block);
  const bool rounded = scanner->rounds && input.element == Element::kFloat32;
  for (int64_t g = 0; g < loaded.block.count / kStrip; ++g) {
    loaded.reach[g] = ReachOf(loaded.squares[g], input.depth, rounded);
  }
  return loaded.block;
}

void Worker::StartLanes(const QueryPanel& panel) {
  panel_ = &panel;
  collectors_of_panel_ = &collectors_[panel.first() - FirstQuery()];
  bans_of_panel_ = &bans_[panel.first() - FirstQuery()];
  scored_ = 0;
  for (int lane = 0; lane < panel.strips() * kStrip; ++lane) {
    const bool padding = lane >= panel.count();
    thresholds_[lane] = padding ? -kInfinity
                                : search_.thresholds[panel.first() + lane].load(
                                      std::memory_order_relaxed);
    cut_[lane] = panel.Cut(form_, lane, thresholds_[lane]);
    wanted_[lane] = padding ? std::numeric_limits<uint64_t>::max()
                            : std::max(WorstKeyOf(thresholds_[lane]),
                                       collectors_of_panel_[lane].kth());
  }
}

// Whether scoring costs more than scanning, and has for a while: a collection that
// fills for the first time may have a quarter of its candidates scored.
bool Worker::TooManyScored(int64_t* debt) const {
  const int64_t collection =
      panel_->count() * Collector::Capacity(search_.k);
  const int64_t pairs = panel_->count() * row_count_;
  *debt = std::max<int64_t>(0, *debt + scored_ * kCostOfScore - pairs);
  return *debt > collection * kCostOfScore / 4;
}

// Where the part of the next block begins that comes to the cache while the panel
// after `ahead` more is scanned; an end, if there is no next block.
const char* Worker::NextPart(int64_t p, int64_t ahead) const {
  const int64_t rows =
      std::min(search_.rows_per_block, search_.input.rows - next_row_);
  const int64_t bytes = rows * search_.input.depth * BytesOf(search_.input.element);
  return search_.RowAt(next_row_) +
         bytes * (p + ahead - first_panel_) / (last_panel_ - first_panel_);
}

void Worker::ScanPanel(int64_t p) {
  const bool exact =
      wasteful_[p - first_panel_] || search_.kernel.rounding == nullptr;
  const Scanner* scanner = exact ? search_.kernel.exact : search_.kernel.rounding;
  form_ = exact ? QueryPanel::kFloats : QueryPanel::kRounded;
  const QueryPanel& panel = *search_.panels[p];
  StartLanes(panel);
  const HitSink sink = {
      [](void* self, const Hits& hits) { static_cast<Worker*>(self)->Take(hits); }, this};
  scanner->scan(Load(scanner), search_.input.depth,
                {panel.packed(form_), panel.strips(), cut_, panel.slopes(form_),
                 NextPart(p, 0), NextPart(p, 1) - NextPart(p, 0)},
                sink);
  if (TooManyScored(&debts_[p - first_panel_])) wasteful_[p - first_panel_] = true;
}

void Worker::ScanFew() {
  const QueryPanel& panel = *search_.panels[first_panel_];
  const bool shadow = HasShadow(search_.input) && !wasteful_[0];
  form_ = shadow ? QueryPanel::kCodes : QueryPanel::kFloats;
  StartLanes(panel);
  shadow ? ScoreShadow(panel) : ScoreFew(panel);
  const HitSink sink = {
      [](void* self, const Hits& hits) { static_cast<Worker*>(self)->Take(hits); }, this};
  for (int lane = 0; lane < panel.count(); ++lane) {
    search_.kernel.exact->filter(scores_->As<float>() + lane * kMaxBlockRows,
                                 allowances_->As<float>() + lane * kMaxBlockRows,
                                 row_count_, cut_ + lane, lane, sink);
  }
  if (TooManyScored(&debts_[0])) wasteful_[0] = true;
}

void Worker::ScoreFew(const QueryPanel& panel) {
  const TopKInput& input = search_.input;
  const float square = search_.kernel.exact->score(
      search_.RowAt(first_row_), input.element, row_count_, input.depth,
      panel.few(), scores_->As<float>());
  const float reach = ReachOf(square, input.depth, /*rounded=*/false);
  for (int lane = 0; lane < panel.count(); ++lane) {
    float* allowances = allowances_->As<float>() + lane * kMaxBlockRows;
    std::fill(allowances, allowances + row_count_,
              panel.slopes(form_)[lane] * reach);
  }
}

void Worker::ScoreShadow(const QueryPanel& panel) {
  const TopKInput& input = search_.input;
  search_.kernel.exact->score_codes(
      input.codes + first_row_ * ShadowStride(input.depth), row_count_,
      panel.few_codes(), scores_->As<int32_t>());
  const float* scales = input.bounds + first_row_;
  const float* errors = input.bounds + input.rows + first_row_;
  for (int lane = 0; lane < panel.count(); ++lane) {
    const QueryCodes& coded = panel.coded(lane);
    const int32_t* products = scores_->As<int32_t>() + lane * kMaxBlockRows;
    float* scores = scores_->As<float>() + lane * kMaxBlockRows;
    float* allowances = allowances_->As<float>() + lane * kMaxBlockRows;
    for (int64_t i = 0; i < row_count_; ++i) {
      int32_t product;
      std::memcpy(&product, products + i, sizeof(product));
      const float scaled = product * (coded.unit * scales[i]);
      std::memcpy(scores + i, &scaled, sizeof(scaled));
      allowances[i] =
          coded.error_slope * errors[i] + coded.scale_slope * scales[i];
    }
  }
}

// A bound on |s - s'| for the pair.
float Worker::ErrorOf(int lane, int64_t row) const {
  const float error =
      scores_ != nullptr
          ? allowances_->As<float>()[lane * kMaxBlockRows + row]
          : panel_->slopes(form_)[lane] *
                loaded_[form_ == QueryPanel::kRounded].reach[row / kStrip];
  return error + panel_->constants(form_)[lane];
}

// First all scores, which do not wait for each other, then all decisions.
void Worker::Take(const Hits& hits) {
  const bool on_sight = ScoresOnSight();
  for (int i = 0; i < hits.count; ++i) {
    const int lane = hits.pairs[i] & 255;
    const int64_t row = hits.pairs[i] >> 8;
    if (lane >= panel_->count() || row >= row_count_) {  // padding
      low_[i] = high_[i] = 0;
    } else if (on_sight) {
      low_[i] = high_[i] = Score(lane, row);
    } else {
      Bound(lane, row, hits.scores[i], &low_[i], &high_[i]);
    }
  }
  for (int i = 0; i < hits.count && !search_.failed; ++i) {
    Offer(hits.pairs[i] & 255, low_[i], high_[i]);
  }
}

void Worker::Bound(int lane, int64_t row, float score, uint64_t* low, uint64_t* high) {
  const int32_t id = static_cast<int32_t>(first_row_ + row);
  const float error = ErrorOf(lane, row);
  if (std::fabs(score) + error < kInfinity) {
    const float least = score - error, most = score + error;
    *low = KeyOf(least - std::fabs(least) * kSlack, id);
    *high = KeyOf(most + std::fabs(most) * kSlack, id);
  } else {
    *low = *high = Score(lane, row);
  }
}

uint64_t Worker::Score(int lane, int64_t row) {
  ++scored_;
  return search_.Score(panel_->first() + lane, panel_->query(lane),
                       static_cast<int32_t>(first_row_ + row));
}

void Worker::Offer(int lane, uint64_t low, uint64_t high) {
  if (high < wanted_[lane] || bans_of_panel_[lane].Hold(RowOf(high))) return;
  if (ScoresOnSight()) --scored_;  // not in vain
  Collector& collector = collectors_of_panel_[lane];
  const auto score = [&](int32_t id) { return Score(lane, id - first_row_); };
  if (!collector.Add(low, high, score)) return;
  wanted_[lane] = std::max(wanted_[lane], collector.kth());
  const float threshold = ScoreOf(collector.kth());
  if (threshold <= thresholds_[lane]) return;
  thresholds_[lane] = threshold;
  cut_[lane] = panel_->Cut(form_, lane, threshold);
  search_.Raise(panel_->first() + lane, threshold);
}

}  // namespace realm
