// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Attention whose bfloat16 products are on matrix tiles (AMX); the rest as in AVX-512.

#include "ops/common/amx_tiles.h"
#include "ops/transformer/isa.h"

namespace realm {
namespace {

// Tiles 0-3 hold sums (16 x 16, row tile major), 4-5 the left, 6-7 the right matrix.
// A right matrix has its values of two depths side by side: [depth / 2, n, 2].
struct TileProducts {
  using Value = uint16_t;
  static void Enter() { EnterTiles(); }
  static void Leave() { LeaveTiles(); }

  static const Value* Columns(const Value* rows, int64_t count, int64_t width, Value* to) {
    const int64_t pairs = width / 2;
    const __m512i lane = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        _mm512_set1_epi32(static_cast<int>(pairs)));
    auto* source = reinterpret_cast<const int32_t*>(rows);
    auto* target = reinterpret_cast<int32_t*>(to);
    for (int64_t r = 0; r < count; r += 16) {
      for (int64_t c = 0; c < pairs; ++c) {
        _mm512_storeu_si512(target + c * count + r,
                            _mm512_i32gather_epi32(lane, source + r * pairs + c, 4));
      }
    }
    return to;
  }

  static const Value* Rows(const Value* rows, int64_t count, int64_t width, Value* to) {
    auto* target = reinterpret_cast<uint32_t*>(to);
    for (int64_t r = 0; r < count; r += 2, target += width) {
      for (int64_t i = 0; i < width; i += 16) {
        const __m512i one = Widened(rows + r * width + i);
        const __m512i other = Widened(rows + (r + 1) * width + i);
        _mm512_storeu_si512(target + i,
                            _mm512_or_si512(one, _mm512_slli_epi32(other, 16)));
      }
    }
    return to;
  }

  static void Turn(const Value* rows, int64_t count, int64_t width, Value* to,
                   Value* scratch) {
    Columns(rows, count, width, scratch);
    for (int64_t c = 0; c < width; c += 2, scratch += 2 * count) {
      for (int64_t r = 0; r < count; r += 16) {
        const __m512i pairs = _mm512_loadu_si512(scratch + 2 * r);
        Narrow(to + c * count + r, pairs);
        Narrow(to + (c + 1) * count + r, _mm512_srli_epi32(pairs, 16));
      }
    }
  }

  static void Multiply(const Value* left, int64_t left_stride, const Value* right,
                       int64_t right_stride, float* sums, int64_t stride, int64_t n,
                       int64_t depth) {
    asm volatile("" ::: "memory");  // what the tiles read has been written
    for (int64_t column = 0; column < n; column += 32) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t d = 0; d < depth; d += 32) {
        const Value* strip = right + d * right_stride + 2 * column;
        _tile_loadd(4, left + d, 2 * left_stride);
        _tile_loadd(6, strip, 4 * right_stride);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, strip + 32, 4 * right_stride);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, left + 16 * left_stride + d, 2 * left_stride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      _tile_stored(0, sums + column, 4 * stride);
      _tile_stored(1, sums + column + 16, 4 * stride);
      _tile_stored(2, sums + 16 * stride + column, 4 * stride);
      _tile_stored(3, sums + 16 * stride + column + 16, 4 * stride);
    }
    asm volatile("" ::: "memory");
  }

 private:
  static __m512i Widened(const Value* from) {
    return _mm512_cvtepu16_epi32(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }

  static void Narrow(Value* to, __m512i lanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(lanes));
  }
};

void AttendOnTiles(const Attention& in, int64_t sequence, int64_t begin, int64_t end,
                   void* scratch) {
  in.row == Row::kFloat32 ? AttendHeads<FloatProducts>(in, sequence, begin, end, scratch)
                          : AttendHeads<TileProducts>(in, sequence, begin, end, scratch);
}

void AttendOnTilesGrad(const AttentionGrad& in, int64_t sequence, int64_t begin, int64_t end,
                       void* scratch, float* sums) {
  in.row == Row::kFloat32
      ? AttendHeadsGrad<FloatProducts>(in, sequence, begin, end, scratch, sums)
      : AttendHeadsGrad<TileProducts>(in, sequence, begin, end, scratch, sums);
}

}  // namespace

const TransformerKernel kAmxTransformer = [] {
  TransformerKernel kernel = KernelBy<FloatProducts>("amx");
  kernel.attention = AttendOnTiles;
  kernel.attention_grad = AttendOnTilesGrad;
  return kernel;
}();

}  // namespace realm
