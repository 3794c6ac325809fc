// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "top_k_inner_product.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>

#include "top_k_collector.h"
#include "top_k_panels.h"
#include "top_k_worker.h"

namespace realm {
namespace {

// Rows that are scanned against every panel while they stay in the L2 cache.
constexpr int64_t kBlockBytes = 128 << 10;
constexpr int64_t kMinBlockRows = 32, kMaxBlockRows = 1024;

// Below this many multiplications, a second thread costs more than it gives.
constexpr int64_t kWorthAThread = 1 << 18;

// Workers keep candidates of their own; beyond this, fewer share the rows and
// more share the queries.
constexpr int64_t kCandidateBytes = 128 << 20;

int64_t RowsPerBlock(const TopKInput& input) {
  const int64_t fit =
      kBlockBytes / (input.depth * BytesOf(input.element) + 1);
  return std::clamp(fit / 32 * 32, kMinBlockRows, kMaxBlockRows);
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
  const int64_t bytes = input.batch * Collector::Capacity(input.k) * 8;
  Division division;
  division.workers = std::clamp<int64_t>(kCandidateBytes / bytes, 1, threads);
  division.workers = std::min(division.workers, search.blocks);
  division.groups = std::min<int64_t>(
      (threads + division.workers - 1) / division.workers,
      search.panels.size());
  return division;
}

// The best k of what the workers kept for one query.
void Merge(const std::vector<const Collector*>& parts, int64_t k,
           std::vector<uint64_t>* keys, float* scores, int32_t* rows) {
  keys->clear();
  for (const Collector* part : parts) {
    if (part != nullptr) keys->insert(keys->end(), part->begin(), part->end());
  }
  std::partial_sort(keys->begin(), keys->begin() + k, keys->end(),
                    std::greater<uint64_t>());
  for (int64_t i = 0; i < k; ++i) {
    scores[i] = ScoreOf((*keys)[i]);
    rows[i] = RowOf((*keys)[i]);
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
  search.rows_per_block = RowsPerBlock(input);
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

  parallel_for(panels, [&](int64_t p) {
    int64_t g = 0;
    while (panels * (g + 1) / division.groups <= p) ++g;
    const QueryPanel& panel = *search.panels[p];
    std::vector<const Collector*> parts(division.workers);
    std::vector<uint64_t> keys;
    for (int64_t q = panel.first(); q < panel.first() + panel.count(); ++q) {
      for (int64_t w = 0; w < division.workers; ++w) {
        parts[w] = workers[g * division.workers + w].collector(q);
      }
      Merge(parts, input.k, &keys, scores + q * input.k, rows + q * input.k);
    }
  });
  return std::nullopt;
}

}  // namespace realm
