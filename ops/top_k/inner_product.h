// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Exact maximum inner product search: for each query, the k rows of a table
// with the largest dot products. Knows nothing of TensorFlow.
//
// THE SCORE of a query q and a row r is one number, whatever kernel finds it:
// the products of their elements (exact in double) summed in double in the
// fixed order of `Scanner::dot`, rounded once to float. Rows are ordered by
// score, and among equal scores the lower row comes first. The answer is the
// first k of that order: the same bits on every CPU.
//
// THE SCAN. Computing that score for every pair would be slow, so a faster product
// makes an approximation s' of the exact product s = q.r, compares it in registers
// with a threshold, and drops it. There are three scans:
//
//   few queries      row by row, at the speed at which memory gives rows; of the
//                    table's eight-bit shadow, if there is one (shadow.h)
//   rounding         many queries: a blocked matrix product of bfloat16 values
//   float            the same in float: where no instruction rounds, and where
//                    rounding would let too much through
//
// A GUESS. For large k most of what a scan finds at first is not among the best. So one
// block in sixteen is scanned first, and a score that rather more than k rows of the
// table are likely to reach is the threshold to begin with. If the k-th best that the
// scan then finds scores no less, nothing that was dropped, which scores less, could
// have come before it; else those queries are searched again without a guess. A large
// sample is searched with a guess of its own, which is believed as little.
//
// A pair that might still be among the k best becomes a candidate, with bounds on
// its score; only the candidates whose bounds do not decide are scored: after a guess
// at once, as nearly all of them are wanted and their rows lie in the cache, else at the
// end (collector.h). Memory is O(B k) per worker plus tiles;
// [B, N] scores exist nowhere.
//
// WHY NOTHING IS LOST. Let T be a score that k rows are known to reach. A pair
// is dropped only if
//
//     s' < T - slack |T| - constant(q) - slope(q) reach(r),
//
// where reach(r) >= |r| bounds the norms of a group of rows that r is in. Let q1, r1
// be the vectors as the scan reads them (rounded to bfloat16, or q, r
// themselves). Then:
//
// 1. |s - q1.r1| <= |q - q1| |r| + |q1| |r - r1|   (Cauchy-Schwarz).
//    |q - q1| is measured in double. |r - r1| is 0 for a bfloat16 table, and
//    at most 2^-8 |r| for a float32 one (8 significant bits, to nearest).
// 2. |q1.r1 - s'| <= g |q1| |r1|, g = (1 + 2^-23)^(2D + 2) - 1, for any order of
//    summation whose every operation errs by a factor within 1 +- 2^-23; for
//    D <= 2^18, g <= 1.07 (2D + 2) 2^-23.
// 3. Numbers below 2^-126 that the hardware takes for zero (matrix tiles do)
//    add at most D 2^-125 (1 + |q| + |r|).
// 4. The double sum errs by at most D 2^-52 |q| |r|, far below (2), and the
//    final rounding by 2^-24 |T| + 2^-149 near T: slack = 2^-21 covers it and
//    the rounding of the threshold itself. It also makes the comparison
//    strict: a dropped pair scores less than T, never the same, so no tie is
//    lost.
// 5. No partial sum overflows if |q| and |r| are at most 2^63. Beyond that, and
//    for D > 2^18, slope or reach is infinite and every pair is scored.
//
// A candidate's bounds are s' -+ (constant + slope reach), moved apart by slack,
// so the score lies within them, and k candidates' lower bounds give a T.
//
// slope and constant gather 1-3 (`BoundFor` in panels.cc). All
// comparisons are "not less than", so a NaN is never dropped; and if the score
// is NaN then so is s', as every infinite or NaN element reaches the scan as
// such: a NaN in the data is always found.
//
// Where rounding leaves too much to score (embeddings of an untrained tower are
// nearly all alike), queries go over to the float scan, whose g is a thousand
// times smaller.

#ifndef REALM_OPS_TOP_K_INNER_PRODUCT_H_
#define REALM_OPS_TOP_K_INNER_PRODUCT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ops/top_k/banned_rows.h"
#include "ops/top_k/scan.h"

namespace realm {

// Calls body(0) ... body(n - 1), in any order and on any threads, and returns
// when all have returned.
using ParallelFor =
    std::function<void(int64_t n, const std::function<void(int64_t)>& body)>;

// Two ways to scan. `rounding` is the faster and may be null.
struct Kernel {
  const char* name;
  const Scanner* rounding;
  const Scanner* exact;
};

// The kernels that this CPU can run, best first. Never empty.
const std::vector<Kernel>& AvailableKernels();

// The first of them, or the one that REALM_TOP_K_KERNEL names. Null if it names none:
// `problem` then says so.
const Kernel* ChosenKernel(std::string* problem);

struct TopKInput {
  const float* queries;  // [batch, depth]
  const void* table;     // [rows, depth]
  Element element;       // of the table
  int64_t batch;
  int64_t rows;  // at most 2^31 - 1
  int64_t depth;
  int64_t k;  // at most rows - banned.Count(q), for every query q
  const BannedRows* banned;
  // The table's shadow (see shadow.h), or null: codes and bounds.
  const int8_t* codes = nullptr;
  const float* bounds = nullptr;
};

// So few queries are scanned row by row, of the shadow first, if there is one.
inline bool IsFew(const TopKInput& input) { return input.batch <= kMaxFew; }

inline bool HasShadow(const TopKInput& input) {
  return input.codes != nullptr && IsFew(input);
}

struct NotANumber {
  int64_t query;
  int64_t row;
};

// Writes scores [batch, k], descending, and their rows [batch, k]. Returns a
// pair whose score is not a number, if there is one; the output is then
// unspecified. `threads` is how many calls `parallel_for` runs at once.
std::optional<NotANumber> TopKInnerProduct(const TopKInput& input,
                                           const Kernel& kernel,
                                           const ParallelFor& parallel_for,
                                           int64_t threads, float* scores,
                                           int32_t* rows);

}  // namespace realm

#endif  // REALM_OPS_TOP_K_INNER_PRODUCT_H_
