// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/inner_product.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "ops/top_k/collector.h"
#include "ops/top_k/panels.h"
#include "ops/top_k/sort.h"
#include "ops/top_k/tiny_numbers.h"
#include "ops/top_k/worker.h"

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

// For so many wanted rows, a sample of so many blocks first gives a threshold.
constexpr int64_t kGuessFrom = 128, kSampleStep = 16;

int64_t RowsPerBlock(const TopKInput& input, int64_t threads) {
  const int64_t bytes = HasShadow(input) ? 1 : BytesOf(input.element);
  const int64_t fit = (IsFew(input) ? kFewBlockBytes : kBlockBytes) /
                      (input.depth * bytes + 1);
  const int64_t fair = input.rows / (threads * kBlocksPerThread);
  return std::clamp(std::min(fit, fair) / 32 * 32, kMinBlockRows, kMaxBlockRows);
}

Panels MakePanels(const TopKInput& input, const Kernel& kernel) {
  int64_t max_strips = kernel.exact->max_strips;
  if (kernel.rounding != nullptr) {
    max_strips = std::min<int64_t>(max_strips, kernel.rounding->max_strips);
  }
  const int64_t strips = (input.batch + kStrip - 1) / kStrip;
  const int64_t count = (strips + max_strips - 1) / max_strips;
  Panels panels;
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
  const double work = 1.0 * input.batch * input.rows / search.step * input.depth;
  threads = std::clamp<int64_t>(static_cast<int64_t>(work / kWorthAThread), 1, threads);
  const int64_t bytes =
      input.batch * Collector::Capacity(search.k) * 2 * sizeof(uint64_t);
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

// Of candidates of one query; `high` is empty where all are scored.
struct Keys {
  std::vector<uint64_t> low, high;

  void Append(const Candidates& all, int64_t count) {
    low.insert(low.end(), all.low, all.low + count);
    if (all.high != nullptr) high.insert(high.end(), all.high, all.high + count);
  }
};

// Runs a search's workers, and holds what they kept.
class Scan {
 public:
  Scan(Search* search, const ParallelFor& parallel_for, int64_t threads)
      : division_(Divide(*search, threads)), next_block_(division_.groups) {
    const int64_t panels = search->panels.size();
    workers_.reserve(division_.groups * division_.workers);
    for (int64_t g = 0; g < division_.groups; ++g) {
      for (int64_t w = 0; w < division_.workers; ++w) {
        workers_.emplace_back(search, &next_block_[g], panels * g / division_.groups,
                              panels * (g + 1) / division_.groups);
      }
    }
    parallel_for(workers_.size(), [&](int64_t w) { workers_[w].Run(); });
  }

  // The best for a query are among these, in no order.
  Keys Kept(int64_t query) const {
    auto worker = workers_.begin();  // the first of the query's group
    while (worker->end_query() <= query) worker += division_.workers;
    Keys kept;
    for (int64_t w = 0; w < division_.workers; ++w, ++worker) {
      const Collector* part = worker->collector(query);
      if (part != nullptr) kept.Append(part->all(), part->size());
    }
    return kept;
  }

 private:
  const Division division_;
  std::vector<std::atomic<int64_t>> next_block_;
  std::vector<Worker> workers_;  // group major
};

// How many rows of a sample are likely to reach what k rows of the table do, and six
// standard deviations more: the guess should be too low, not too high.
int64_t RankInSample(int64_t k) {
  const double expected = 1.0 * k / kSampleStep;
  return static_cast<int64_t>(expected + 6 * std::sqrt(expected));
}

bool IsWorthAGuess(const Search& search) {
  return search.k >= kGuessFrom && search.blocks >= 2 * kSampleStep &&
         search.input.rows / search.step / kSampleStep >= 4 * RankInSample(search.k);
}

// Begins with thresholds that about k rows of the table reach, by a sample of it, which
// may begin with a guess itself.
void Guess(Search* search, const ParallelFor& parallel_for, int64_t threads) {
  const int64_t rank = RankInSample(search->k);
  Search sample(search->input, search->kernel, search->panels, rank,
                search->rows_per_block, search->step * kSampleStep);
  if (IsWorthAGuess(sample)) Guess(&sample, parallel_for, threads);
  const Scan scan(&sample, parallel_for, threads);
  if (sample.failure) return search->Fail(*sample.failure);
  search->guesses.resize(search->input.batch);
  for (int64_t q = 0; q < search->input.batch; ++q) {
    std::vector<uint64_t> kept = std::move(scan.Kept(q).low);
    search->guesses[q] = -std::numeric_limits<float>::infinity();
    if (static_cast<int64_t>(kept.size()) >= rank) {  // else bans or a guess took too many
      std::nth_element(kept.begin(), kept.begin() + rank - 1, kept.end(),
                       std::greater<uint64_t>());
      search->guesses[q] = ScoreOf(kept[rank - 1]);
    }
    search->thresholds[q] = search->guesses[q];
  }
}

// Scores, in parts of the table that are fetched ahead, what bounds did not decide.
void ScoreAll(Search* search, int64_t query, Keys* all, const ParallelFor& parallel_for) {
  const QueryPanel& panel = search->PanelOf(query);
  const double* values = panel.query(query - panel.first());
  const int64_t count = all->low.size();
  parallel_for((count + kScoredPerTask - 1) / kScoredPerTask, [&](int64_t task) {
    const KeepTinyNumbers keep;
    const int64_t end = std::min(count, (task + 1) * kScoredPerTask);
    for (int64_t i = task * kScoredPerTask; i < end; ++i) {
      if (i + kFetchAhead < end) search->Fetch(RowOf(all->low[i + kFetchAhead]));
      if (all->low[i] != all->high[i]) {
        all->low[i] = search->Score(query, values, RowOf(all->low[i]));
      }
    }
  });
}

// The scored keys of those of the workers' candidates that may be among the best k.
std::vector<uint64_t> Scored(Search* search, int64_t query, Keys all,
                             const ParallelFor& parallel_for) {
  if (all.low == all.high || all.high.empty()) return std::move(all.low);
  const uint64_t kth = NearKth(all.low.data(), all.low.size(), search->k);
  const Candidates candidates = {all.low.data(), all.high.data()};
  all.low.resize(candidates.KeepFrom(kth, all.low.size()));
  ScoreAll(search, query, &all, parallel_for);
  return std::move(all.low);
}

// The best k of what the workers kept for one query. False if they may have dropped
// one of them, as the threshold that they began with was not reached by k rows.
bool Finish(Search* search, int64_t query, Keys all, const ParallelFor& parallel_for,
            float* scores, int32_t* rows) {
  const int64_t k = search->k;
  if (static_cast<int64_t>(all.low.size()) < k) return false;
  std::vector<uint64_t> keys = Scored(search, query, std::move(all), parallel_for);
  SortGreatest(k, &keys);
  for (int64_t i = 0; i < k; ++i) {
    scores[i] = ScoreOf(keys[i]);
    rows[i] = RowOf(keys[i]);
  }
  return !search->HasGuesses() || scores[k - 1] >= search->guesses[query];
}

// Searches once. Lists the queries whose guess was too high.
std::optional<NotANumber> SearchOnce(const TopKInput& input, const Kernel& kernel,
                                     const ParallelFor& parallel_for,
                                     int64_t threads, bool may_guess, float* scores,
                                     int32_t* rows, std::vector<int64_t>* missed) {
  const Panels panels = MakePanels(input, kernel);
  Search search(input, kernel, panels, input.k, RowsPerBlock(input, threads));
  if (may_guess && IsWorthAGuess(search)) Guess(&search, parallel_for, threads);
  if (search.failure) return search.failure;
  const Scan scan(&search, parallel_for, threads);
  if (search.failure) return search.failure;
  std::vector<char> found(input.batch);
  const auto finish = [&](int64_t q, const ParallelFor& run) {
    const KeepTinyNumbers keep;
    found[q] = Finish(&search, q, scan.Kept(q), run, scores + q * input.k,
                      rows + q * input.k);
  };
  if (input.batch < threads) {
    for (int64_t q = 0; q < input.batch; ++q) finish(q, parallel_for);
  } else {
    parallel_for(input.batch, [&](int64_t q) { finish(q, Serially); });
  }
  for (int64_t q = 0; q < input.batch; ++q) {
    if (!found[q]) missed->push_back(q);
  }
  return search.failure;
}

// Searches again, without a guess, for the queries whose guess was too high.
std::optional<NotANumber> SearchAgain(const TopKInput& input, const Kernel& kernel,
                                      const ParallelFor& parallel_for, int64_t threads,
                                      const std::vector<int64_t>& missed,
                                      float* scores, int32_t* rows) {
  const int64_t count = missed.size();
  std::vector<float> queries, some_scores(count * input.k);
  std::vector<int32_t> some_rows(count * input.k);
  for (int64_t q : missed) {
    const float* query = input.queries + q * input.depth;
    queries.insert(queries.end(), query, query + input.depth);
  }
  const BannedRows banned = input.banned->Of(missed);
  TopKInput some = input;
  some.queries = queries.data();
  some.batch = count;
  some.banned = &banned;
  std::vector<int64_t> none;
  auto failure = SearchOnce(some, kernel, parallel_for, threads, /*may_guess=*/false,
                            some_scores.data(), some_rows.data(), &none);
  if (failure) failure->query = missed[failure->query];
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(&some_scores[i * input.k], input.k, scores + missed[i] * input.k);
    std::copy_n(&some_rows[i * input.k], input.k, rows + missed[i] * input.k);
  }
  return failure;
}

}  // namespace

std::optional<NotANumber> TopKInnerProduct(const TopKInput& input,
                                           const Kernel& kernel,
                                           const ParallelFor& parallel_for,
                                           int64_t threads, float* scores,
                                           int32_t* rows) {
  if (input.batch == 0 || input.k == 0) return std::nullopt;
  const KeepTinyNumbers keep;
  threads = std::max<int64_t>(threads, 1);
  std::vector<int64_t> missed;
  const auto failure = SearchOnce(input, kernel, parallel_for, threads,
                                  /*may_guess=*/true, scores, rows, &missed);
  if (failure || missed.empty()) return failure;
  return SearchAgain(input, kernel, parallel_for, threads, missed, scores, rows);
}

}  // namespace realm
