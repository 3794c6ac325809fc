// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// How attention holds the rows of heads in memory: padded, head by head, in pieces of its
// task's scratch. Included by one source per instruction set.
//
// Letters: T tokens of a sequence, S size of a head.

#ifndef REALM_OPS_TRANSFORMER_HEAD_ROWS_H_
#define REALM_OPS_TRANSFORMER_HEAD_ROWS_H_

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

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_HEAD_ROWS_H_
