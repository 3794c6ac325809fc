// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The gradient of attention.h. It recomputes the probabilities P from the scores and
// their log sums, with keys as rows and queries as columns, so that no [T, T] matrix is
// ever transposed; those of one head are held:
//
//   P'  = exp(K Q' s - L)             s = 1 / sqrt(size), L = log sums of the queries
//   dV  = P' dO
//   dS' = P' (V dO' - D) s            D = row sums of dO O
//   dK  = dS' Q,  dQ' = K' dS'

#ifndef REALM_OPS_TRANSFORMER_ATTENTION_GRAD_H_
#define REALM_OPS_TRANSFORMER_ATTENTION_GRAD_H_

#include "ops/transformer/head_rows.h"
#include "ops/transformer/lanes.h"
#include "ops/transformer/transformer.h"

namespace realm {
namespace {

// The gradient's inputs that are per query: log sums, and row sums of dO O.
template <typename T>
void LoadQueryTerms(const AttentionGrad& in, int64_t head, int64_t first, const Sizes& s,
                    float* log_sums, float* products) {
  for (int64_t row = 0; row < s.padded; ++row) {
    log_sums[row] = 1e30f;  // a query that is padding has probability 0 everywhere
    products[row] = 0;
    if (row >= s.length) continue;
    log_sums[row] = in.log_sums[(first + row) * in.heads + head];
    const int64_t at = (first + row) * in.hidden + head * s.size;
    Lanes total{};
    for (int64_t i = 0; i < s.size; i += kLanes) {
      const int64_t n = Min(kLanes, s.size - i);
      total += Load(static_cast<const T*>(in.context) + at + i, n) *
               Load(static_cast<const T*>(in.dcontext) + at + i, n);
    }
    products[row] = Sum(total);
  }
}

template <typename Products, typename T, typename Value>
void AttendOneGrad(const AttentionGrad& in, int64_t head, int64_t first, const Sizes& s,
                   Value* const rows[4], Arena arena, float* sums) {
  const int64_t size = s.size, stride = 3 * in.hidden, at = head * size;
  const float scale = 1 / __builtin_sqrtf(static_cast<float>(size));
  const Value *columns[4], *as_rows[4];
  for (int part : {0, 3}) {
    columns[part] = Products::Columns(rows[part], s.padded, s.padded_size,
                                      arena.Take<Value>(s.rows()));
    as_rows[part] = Products::Rows(rows[part], s.padded, s.padded_size,
                                   arena.Take<Value>(s.rows()));
  }
  Value* turned_keys = arena.Take<Value>(s.rows());  // [S, T], a left matrix
  Products::Turn(rows[1], s.padded, s.padded_size, turned_keys, arena.Take<Value>(s.rows()));
  float* log_sums = arena.Take<float>(s.padded);
  float* products = arena.Take<float>(s.padded);
  LoadQueryTerms<T>(in, head, first, s, log_sums, products);

  float* scores = arena.Take<float>(kBlock * s.padded);
  float* slopes = arena.Take<float>(kBlock * s.padded);
  Value* probabilities = arena.Take<Value>(kBlock * s.padded);
  Value* dscores = arena.Take<Value>(kBlock * s.padded);
  Value* all_dscores = arena.Take<Value>(s.padded * s.padded);  // a right matrix
  float* result = arena.Take<float>(s.rows());
  T* dqkv = static_cast<T*>(in.dqkv) + first * stride + at;
  for (int64_t block = 0; block < s.length; block += kBlock) {
    const int64_t count = Min(kBlock, s.length - block);
    Products::Multiply(rows[1] + block * s.padded_size, s.padded_size, columns[0], s.padded,
                       scores, s.padded, s.padded, s.padded_size);
    Products::Multiply(rows[2] + block * s.padded_size, s.padded_size, columns[3], s.padded,
                       slopes, s.padded, s.padded, s.padded_size);
    for (int64_t row = 0; row < count * s.padded; row += s.padded) {
      for (int64_t i = 0; i < s.padded; i += kLanes) {
        const Lanes p =
            Exp<kTerms<Value>>(Load(scores + row + i) * scale - Load(log_sums + i));
        Store(probabilities + row + i, p);
        Store(dscores + row + i,
              p * (Load(slopes + row + i) - Load(products + i)) * scale);
      }
    }
    const int64_t rest = (kBlock - count) * s.padded * sizeof(Value);
    std::memset(probabilities + count * s.padded, 0, rest);
    std::memset(dscores + count * s.padded, 0, rest);
    Products::Multiply(probabilities, s.padded, as_rows[3], s.padded_size, result,
                       s.padded_size, s.padded_size, s.padded);
    StoreRows(result, s.padded_size, count, size, dqkv + block * stride + 2 * in.hidden,
              stride, sums + 2 * in.hidden + at);
    Products::Multiply(dscores, s.padded, as_rows[0], s.padded_size, result, s.padded_size,
                       s.padded_size, s.padded);
    StoreRows(result, s.padded_size, count, size, dqkv + block * stride + in.hidden, stride,
              sums + in.hidden + at);
    Value* here = all_dscores + block * s.padded;
    const Value* made = Products::Rows(dscores, kBlock, s.padded, here);
    if (made != here) std::memcpy(here, made, kBlock * s.padded * sizeof(Value));
  }
  float* turned = arena.Take<float>(s.rows());
  for (int64_t row = 0; row < s.padded_size; row += kBlock) {
    Products::Multiply(turned_keys + row * s.padded, s.padded, all_dscores, s.padded,
                       turned + row * s.padded, s.padded, s.padded, s.padded);
  }
  Transpose(turned, s.padded_size, s.padded, result);
  StoreRows(result, s.padded_size, s.length, size, dqkv, stride, sums + at);
}

template <typename Products, typename T>
void AttendGrad(const AttentionGrad& in, int64_t sequence, int64_t begin, int64_t end,
                void* scratch, float* sums) {
  using Value = typename Products::Value;
  const int64_t first = in.splits[sequence];
  const Sizes s(in.splits[sequence + 1] - first, in.hidden / in.heads);
  Arena arena(scratch);
  Value* rows[4];  // queries, keys, values, gradient of the context
  LoadParts<T>(in, first, begin, end, s, &arena, rows);
  rows[3] = arena.Take<Value>((end - begin) * s.rows());
  LoadRows(static_cast<const T*>(in.dcontext) + first * in.hidden + begin * s.size,
           in.hidden, static_cast<const float*>(nullptr), end - begin, s, rows[3]);
  for (int64_t head = begin; head < end; ++head) {
    AttendOneGrad<Products, T>(in, head, first, s, rows, arena, sums);
    for (Value*& part : rows) part += s.rows();
  }
}

template <typename Products>
void AttendHeadsGrad(const AttentionGrad& in, int64_t sequence, int64_t begin,
                     int64_t end, void* scratch, float* sums) {
  Products::Enter();
  in.row == Row::kFloat32
      ? AttendGrad<Products, float>(in, sequence, begin, end, scratch, sums)
      : AttendGrad<Products, uint16_t>(in, sequence, begin, end, scratch, sums);
  Products::Leave();
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_ATTENTION_GRAD_H_
