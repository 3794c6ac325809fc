// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Self-attention of one head, sequence by sequence; see transformer.h. All of a head's
// rows fit in cache, so each is read from memory once; of the [T, T] scores a block of
// 32 rows is held at a time.
//
// Included by one source per instruction set, each of which brings its `Products`: how it
// multiplies, and how the left and the right matrix must lie. Left matrices are rows of
// `Value`, padded with zeros to a multiple of 32; right ones are made of such rows by
//
//   Columns: the rows become columns (a product with the transposed matrix)
//   Rows:    the rows stay rows
//
// Letters: T tokens of a sequence, S size of a head.

#ifndef REALM_OPS_TRANSFORMER_ATTENTION_H_
#define REALM_OPS_TRANSFORMER_ATTENTION_H_

#include "ops/transformer/head_rows.h"
#include "ops/transformer/lanes.h"
#include "ops/transformer/transformer.h"

namespace realm {
namespace {

// Scores [T] of a query to exp(score s - peak), 0 beyond T; the sum, and the peak.
// `beyond` is 0 in the lanes of the last few scores, and very low in those beyond T.
template <typename Value>
float Exponentials(const float* scores, float scale, int64_t length, int64_t padded,
                   Lanes beyond, Value* to, float* peak_of_scores) {
  const int64_t full = length / kLanes * kLanes;
  Lanes most = All(-3e38f), last = most;
  if (full < length) last = Load(scores + full) + beyond;
  for (int64_t i = 0; i < full; i += kLanes) most = Max(most, Load(scores + i));
  const float peak = Max(Max(most, last)) * scale;
  Lanes total{};
  for (int64_t i = 0; i < full; i += kLanes) {
    const Lanes lanes = Exp<kTerms<Value>>(Load(scores + i) * scale - peak);
    total += lanes;
    Store(to + i, lanes);
  }
  for (int64_t i = full; i < padded; i += kLanes) {
    const Lanes lanes =
        i < length ? Exp<kTerms<Value>>(last * scale - peak) : Lanes{};
    total += lanes;
    Store(to + i, lanes);
  }
  *peak_of_scores = peak;
  return Sum(total);
}

// peak + log(sum) of `count` queries, `stride` apart.
inline void StoreLogSums(const float* sums, const float* peaks, int64_t count, float* to,
                         int64_t stride) {
  for (int64_t first = 0; first < count; first += kLanes) {
    const Lanes logs = Log(Load(sums + first));
    for (int64_t i = 0; i < Min(kLanes, count - first); ++i) {
      to[(first + i) * stride] = peaks[first + i] + logs[i];
    }
  }
}

template <typename Products, typename T, typename Value>
void AttendOne(const Attention& in, int64_t head, int64_t first, const Sizes& s,
               Value* const rows[3], Arena arena) {
  const int64_t size = s.size;
  const float scale = 1 / __builtin_sqrtf(static_cast<float>(size));
  const Value* keys = Products::Columns(rows[1], s.padded, s.padded_size,
                                        arena.Take<Value>(s.rows()));
  const Value* values = Products::Rows(rows[2], s.padded, s.padded_size,
                                       arena.Take<Value>(s.rows()));
  float* scores = arena.Take<float>(kBlock * s.padded);
  Value* probabilities = arena.Take<Value>(kBlock * s.padded);
  float* mixed = arena.Take<float>(kBlock * s.padded_size);
  Lanes beyond{};
  for (int64_t lane = s.length % kLanes; lane < kLanes; ++lane) beyond[lane] = -3e38f;
  for (int64_t block = 0; block < s.length; block += kBlock) {
    const int64_t count = Min(kBlock, s.length - block);
    Products::Multiply(rows[0] + block * s.padded_size, s.padded_size, keys, s.padded,
                       scores, s.padded, s.padded, s.padded_size);
    float sums[kBlock], peaks[kBlock];
    for (int64_t row = 0; row < kBlock; ++row) {
      sums[row] = 1;
      if (row >= count) continue;
      sums[row] = Exponentials(scores + row * s.padded, scale, s.length, s.padded, beyond,
                               probabilities + row * s.padded, peaks + row);
    }
    StoreLogSums(sums, peaks, count, in.log_sums + (first + block) * in.heads + head,
                 in.heads);
    std::memset(probabilities + count * s.padded, 0,
                (kBlock - count) * s.padded * sizeof(Value));
    Products::Multiply(probabilities, s.padded, values, s.padded_size, mixed,
                       s.padded_size, s.padded_size, s.padded);
    for (int64_t row = 0; row < count; ++row) {
      T* to = static_cast<T*>(in.context) + (first + block + row) * in.hidden + head * size;
      const float share = 1 / sums[row];
      __builtin_prefetch(to + size, 1);  // of the next head
      for (int64_t i = 0; i < size; i += kLanes) {
        Store(to + i, Load(mixed + row * s.padded_size + i) * share, Min(kLanes, size - i));
      }
    }
  }
}

template <typename Products, typename T>
void Attend(const Attention& in, int64_t sequence, int64_t begin, int64_t end,
            void* scratch) {
  using Value = typename Products::Value;
  const int64_t first = in.splits[sequence];
  const Sizes s(in.splits[sequence + 1] - first, in.hidden / in.heads);
  Arena arena(scratch);
  Value* rows[3];
  LoadParts<T>(in, first, begin, end, s, &arena, rows);
  for (int64_t head = begin; head < end; ++head) {
    AttendOne<Products, T>(in, head, first, s, rows, arena);
    for (Value*& part : rows) part += s.rows();
  }
}

template <typename Products>
void AttendHeads(const Attention& in, int64_t sequence, int64_t begin, int64_t end,
                 void* scratch) {
  Products::Enter();
  in.row == Row::kFloat32 ? Attend<Products, float>(in, sequence, begin, end, scratch)
                          : Attend<Products, uint16_t>(in, sequence, begin, end, scratch);
  Products::Leave();
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_ATTENTION_H_
