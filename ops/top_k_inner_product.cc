// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "top_k_inner_product.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>

#include "top_k_collector.h"
#include "top_k_panels.h"
#include "top_k_tiny_numbers.h"
#include "top_k_worker.h"

namespace realm {
namespace {

// Rows that are scanned against every panel while they stay in the L2 cache.
constexpr int64_t kBlockBytes = 128 << 10;

// Rows that a few queries are scanned against once, in streams.
constexpr int64_t kFewBlockBytes = 512 << 10;

// A thread that is done waits for others' last block: this many blocks to each.
constexpr int64_t kBlocksPerThread = 8, kMinBlockRows = 32;

// Below this many multiplications, a second thread costs more than it gives.
constexpr int64_t kWorthAThread = 1 << 18;

// Workers keep candidates of their own; beyond this, fewer share the rows and
// more share the queries.
constexpr int64_t kCandidateBytes = 128 << 20;

// How many candidates a task scores at the end, and how far ahead it fetches rows.
constexpr int64_t kScoredPerTask = 512, kFetchAhead = 8;

int64_t RowsPerBlock(const TopKInput& input, int64_t threads) {
  const int64_t bytes = HasShadow(input) ? 1 : BytesOf(input.element);
  const int64_t fit = (IsFew(input) ? kFewBlockBytes : kBlockBytes) /
                      (input.depth * bytes + 1);
  const int64_t fair = input.rows / (threads * kBlocksPerThread);
  return std::clamp(std::min(fit, fair) / 32 * 32, kMinBlockRows, kMaxBlockRows);
}

std::vector<std::unique_ptr<QueryPanel>> MakePanels(const TopKInput& input,
                                                    const Kernel& kernel) {
  int64_t max_strips = kernel.exact->max_strips;
  if (kernel.rounding != nullptr) {
    max_strips = std::min<int64_t>(max_strips, kernel.rounding->max_strips);
  }
  const int64_t strips = (input.batch + kStrip - 1) / kStrip;
  const int64_t count = (strips + max_strips - 1) / max_strips;
  std::vector<std::unique_ptr<QueryPanel>> panels;
  for (int64_t p = 0; p < count; ++p) {  // as even as strips allow
    const int64_t begin = strips * p / count * kStrip;
    const int64_t end =
        std::min(strips * (p + 1) / count * kStrip, input.batch);
    panels.push_back(std::make_unique<QueryPanel>(
        input, kernel, begin, static_cast<int>(end - begin)));
  }
  return panels;
}

// How many workers share the rows, and how many groups the queries form.
struct Division {
  int64_t workers;
  int64_t groups;
};

Division Divide(const Search& search, int64_t threads) {
  const TopKInput& input = search.input;
  const double work = 1.0 * input.batch * input.rows * input.depth;
  threads = std::clamp<int64_t>(static_cast<int64_t>(work / kWorthAThread), 1,
                                std::max<int64_t>(threads, 1));
  const int64_t bytes =
      input.batch * Collector::Capacity(input.k) * sizeof(Candidate);
  Division division;
  division.workers = std::clamp<int64_t>(kCandidateBytes / bytes, 1, threads);
  division.workers = std::min(division.workers, search.blocks);
  division.groups = std::min<int64_t>(
      (threads + division.workers - 1) / division.workers,
      search.panels.size());
  return division;
}

void Serially(int64_t n, const std::function<void(int64_t)>& body) {
  for (int64_t i = 0; i < n; ++i) body(i);
}

// Scores, in parts of the table that are fetched ahead, what bounds did not decide.
void ScoreAll(Search* search, int64_t query, std::vector<Candidate>* all,
              const ParallelFor& parallel_for) {
  const QueryPanel& panel = search->PanelOf(query);
  const float* values = panel.query(query - panel.first());
  const int64_t count = all->size();
  parallel_for((count + kScoredPerTask - 1) / kScoredPerTask, [&](int64_t task) {
    const KeepTinyNumbers keep;
    const int64_t end = std::min(count, (task + 1) * kScoredPerTask);
    for (int64_t i = task * kScoredPerTask; i < end; ++i) {
      if (i + kFetchAhead < end) search->Fetch(RowOf((*all)[i + kFetchAhead].low));
      if ((*all)[i].low != (*all)[i].high) {
        search->Score(query, values, &(*all)[i]);
      }
    }
  });
}

// The best k of what the workers kept for one query.
void Finish(Search* search, int64_t query,
            const std::vector<const Collector*>& parts,
            const ParallelFor& parallel_for, float* scores, int32_t* rows) {
  const int64_t k = search->input.k;
  std::vector<Candidate> all;
  for (const Collector* part : parts) {
    if (part != nullptr) all.insert(all.end(), part->begin(), part->end());
  }
  const uint64_t kth = NearKth(all.data(), all.size(), k);
  all.resize(KeepFrom(kth, all.data(), all.size()));
  ScoreAll(search, query, &all, parallel_for);
  std::vector<uint64_t> keys;
  for (const Candidate& candidate : all) keys.push_back(candidate.low);
  std::nth_element(keys.begin(), keys.begin() + k - 1, keys.end(),
                   std::greater<uint64_t>());
  std::sort(keys.begin(), keys.begin() + k, std::greater<uint64_t>());
  for (int64_t i = 0; i < k; ++i) {
    scores[i] = ScoreOf(keys[i]);
    rows[i] = RowOf(keys[i]);
  }
}

}  // namespace

template <typename Int>
BannedRows BannedRows::From(const Int* banned, int64_t batch, int64_t width,
                            int64_t rows) {
  BannedRows result;
  result.begin_.reserve(batch + 1);
  result.begin_.push_back(0);
  std::vector<int32_t>& all = result.rows_;
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t begin = all.size();
    for (const Int* row = banned; row != banned + width; ++row) {
      if (*row >= 0 && *row < rows) all.push_back(static_cast<int32_t>(*row));
    }
    banned += width;
    std::sort(all.begin() + begin, all.end());
    all.erase(std::unique(all.begin() + begin, all.end()), all.end());
    result.begin_.push_back(all.size());
  }
  return result;
}

template BannedRows BannedRows::From(const int32_t*, int64_t, int64_t, int64_t);
template BannedRows BannedRows::From(const int64_t*, int64_t, int64_t, int64_t);

bool BannedRows::Contains(int64_t query, int32_t row) const {
  return std::binary_search(rows_.begin() + begin_[query],
                            rows_.begin() + begin_[query + 1], row);
}

std::optional<NotANumber> TopKInnerProduct(const TopKInput& input,
                                           const Kernel& kernel,
                                           const ParallelFor& parallel_for,
                                           int64_t threads, float* scores,
                                           int32_t* rows) {
  if (input.batch == 0 || input.k == 0) return std::nullopt;
  const KeepTinyNumbers keep;
  Search search(input, kernel);
  search.rows_per_block = RowsPerBlock(input, threads);
  search.blocks =
      (input.rows + search.rows_per_block - 1) / search.rows_per_block;
  search.panels = MakePanels(input, kernel);
  search.thresholds.reset(new std::atomic<float>[input.batch]);
  for (int64_t b = 0; b < input.batch; ++b) {
    search.thresholds[b] = -std::numeric_limits<float>::infinity();
  }

  const Division division = Divide(search, threads);
  const int64_t panels = search.panels.size();
  std::vector<std::atomic<int64_t>> next_block(division.groups);
  std::vector<Worker> workers;  // group major
  workers.reserve(division.groups * division.workers);
  for (int64_t w = 0; w < division.groups * division.workers; ++w) {
    const int64_t g = w / division.workers;
    workers.emplace_back(&search, &next_block[g], panels * g / division.groups,
                         panels * (g + 1) / division.groups);
  }
  parallel_for(workers.size(), [&](int64_t w) { workers[w].Run(); });
  if (search.failure) return search.failure;

  const auto finish = [&](int64_t q, const ParallelFor& run) {
    int64_t g = 0;  // the group of the query
    while (workers[g * division.workers].end_query() <= q) ++g;
    std::vector<const Collector*> parts;
    for (int64_t w = 0; w < division.workers; ++w) {
      parts.push_back(workers[g * division.workers + w].collector(q));
    }
    Finish(&search, q, parts, run, scores + q * input.k, rows + q * input.k);
  };
  if (input.batch < threads) {
    for (int64_t q = 0; q < input.batch; ++q) finish(q, parallel_for);
  } else {
    parallel_for(panels, [&](int64_t p) {
      const QueryPanel& panel = *search.panels[p];
      for (int lane = 0; lane < panel.count(); ++lane) {
        finish(panel.first() + lane, Serially);
      }
    });
  }
  return search.failure;
}

}  // namespace realm
