// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Self-attention of one head, sequence by sequence; see transformer.h. All of a head's
// rows fit in cache, so each is read from memory once; of the [T, T] scores a block of
// 32 rows is held at a time, and in the gradient those of one head.
//
// The gradient recomputes the probabilities P from the scores and their log sums, with
// keys as rows and queries as columns, so that no [T, T] matrix is ever transposed:
//
//   P'  = exp(K Q' s - L)             s = 1 / sqrt(size), L = log sums of the queries
//   dV  = P' dO
//   dS' = P' (V dO' - D) s            D = row sums of dO O
//   dK  = dS' Q,  dQ' = K' dS'
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

#include "ops/transformer/transformer.h"
#include "ops/transformer/lanes.h"

namespace realm {
namespace {

constexpr int64_t kBlock = 32;  // rows of a product; every padded length is a multiple

// Hands out the scratch memory of a task, piece by piece.
class Arena {
 public:
  explicit Arena(void* memory) : next_(static_cast<char*>(memory)) {}

  template <typename T>
  T* Take(int64_t count) {
    T* taken = reinterpret_cast<T*>(next_);
    next_ += RoundUp(count * static_cast<int64_t>(sizeof(T)), 64);
    return taken;
  }

 private:
  char* next_;
};

// to[c][r] = from[r][c], of 32 bits each.
inline void Transpose(const void* from, int64_t rows, int64_t columns, void* to) {
  const auto* source = static_cast<const uint32_t*>(from);
  auto* target = static_cast<uint32_t*>(to);
  for (int64_t r = 0; r < rows; r += 16) {
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t i = 0; i < 16; ++i) {  // `rows` is a multiple of 32
        target[c * rows + r + i] = source[(r + i) * columns + c];
      }
    }
  }
}

// Sizes of one head of one sequence.
struct Sizes {
  int64_t length, padded, size, padded_size;

  Sizes(int64_t length, int64_t size)
      : length(length), padded(RoundUp(length, kBlock)), size(size),
        padded_size(RoundUp(size, kBlock)) {}
  int64_t rows() const { return padded * padded_size; }
};

// What some heads read of a sequence: for each of them rows of `padded_size` that are 0
// beyond [T, S]. Rows are read whole, since memory is fast in order only.
template <typename T, typename Value>
void LoadRows(const T* from, int64_t stride, const float* bias, int64_t heads,
              const Sizes& s, Value* to) {
  for (int64_t row = 0; row < s.padded; ++row) {
    for (int64_t head = 0; head < heads; ++head) {
      Value* out = to + head * s.rows() + row * s.padded_size;
      if (row >= s.length || s.size != s.padded_size) {
        std::memset(out, 0, s.padded_size * sizeof(Value));
      }
      if (row >= s.length) continue;
      for (int64_t i = 0; i < s.size; i += kLanes) {
        const int64_t n = Min(kLanes, s.size - i), column = head * s.size + i;
        Lanes lanes = Load(from + row * stride + column, n);
        if (bias) lanes += Load(bias + column, n);
        Store(out + i, lanes, n);
      }
    }
  }
}

// Writes rows, and adds them up in `sums`.
template <typename T>
void StoreRows(const float* from, int64_t padded_size, int64_t rows, int64_t size,
               T* to, int64_t stride, float* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    __builtin_prefetch(to + row * stride + size, 1);  // of the next head
    for (int64_t i = 0; i < size; i += kLanes) {
      const int64_t n = Min(kLanes, size - i);
      const Lanes lanes = Load(from + row * padded_size + i, n);
      Store(to + row * stride + i, lanes, n);
      Store(sums + i, Load(sums + i, n) + lanes, n);
    }
  }
}

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

// Queries, keys and values of the heads [begin, end) of a sequence, with their biases.
template <typename T, typename In, typename Value>
void LoadParts(const In& in, int64_t first, int64_t begin, int64_t end, const Sizes& s,
               Arena* arena, Value* rows[3]) {
  for (int64_t part = 0; part < 3; ++part) {
    const int64_t column = part * in.hidden + begin * s.size;
    rows[part] = arena->Take<Value>((end - begin) * s.rows());
    LoadRows(static_cast<const T*>(in.qkv) + first * 3 * in.hidden + column, 3 * in.hidden,
             in.bias + column, end - begin, s, rows[part]);
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

// An upper bound of what both take of an Arena for that many heads.
inline int64_t AttentionScratch(int64_t length, int64_t size, int64_t heads) {
  const Sizes s(length, size);
  return 4 * ((12 + 4 * heads) * s.rows() + s.padded * s.padded + 5 * kBlock * s.padded +
              2 * s.padded) + 32 * 64;
}

template <typename Products>
void AttendHeads(const Attention& in, int64_t sequence, int64_t begin, int64_t end,
                 void* scratch) {
  Products::Enter();
  in.row == Row::kFloat32 ? Attend<Products, float>(in, sequence, begin, end, scratch)
                          : Attend<Products, uint16_t>(in, sequence, begin, end, scratch);
  Products::Leave();
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

// Products in float32.
struct FloatProducts {
  using Value = float;
  static void Enter() {}
  static void Leave() {}

  static const float* Columns(const float* rows, int64_t count, int64_t width, float* to) {
    Transpose(rows, count, width, to);
    return to;
  }

  static const float* Rows(const float* rows, int64_t, int64_t, float*) { return rows; }

  static void Turn(const float* rows, int64_t count, int64_t width, float* to, float*) {
    Transpose(rows, count, width, to);
  }

  // sums[32, n] = left[32, depth] right[depth, n]; n and depth are multiples of 32.
  static void Multiply(const float* left, int64_t left_stride, const float* right,
                       int64_t right_stride, float* sums, int64_t stride, int64_t n,
                       int64_t depth) {
    constexpr int kRows = 4, kStrips = kLanes == 16 ? 2 : 1;
    for (int64_t column = 0; column < n; column += kStrips * kLanes) {
      for (int64_t row = 0; row < kBlock; row += kRows) {
        Lanes total[kRows][kStrips] = {};
        const float* a = left + row * left_stride;
        const float* b = right + column;
        for (int64_t d = 0; d < depth; ++d, b += right_stride) {
          Lanes strip[kStrips];
          for (int i = 0; i < kStrips; ++i) strip[i] = Load(b + i * kLanes);
          for (int r = 0; r < kRows; ++r) {
            const Lanes value = All(a[r * left_stride + d]);
            for (int i = 0; i < kStrips; ++i) total[r][i] += value * strip[i];
          }
        }
        for (int r = 0; r < kRows; ++r) {
          for (int i = 0; i < kStrips; ++i) {
            Store(sums + (row + r) * stride + column + i * kLanes, total[r][i]);
          }
        }
      }
    }
  }
};

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_ATTENTION_H_
