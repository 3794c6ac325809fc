// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Products of rows with weights that were packed once, when a model was exported, so that no
// call has to. Included by one source per instruction set.
//
// A kernel [K, N] lies in panels of 16 columns: as float32 [N / 16, K, 16], as int8
// [N / 16, K / 2, 16, 2], two depths side by side; what is beyond K or N is 0. Every
// instruction set has the same panels, so an export does not depend on the processor.
//
// Rounded rows are of int16, whose sums are exact: AVX2 multiplies a quarter more int8 in a
// cycle, but those overflow. Each row has its scale, and so has each column of a kernel.

#ifndef REALM_OPS_TRANSFORMER_PACKED_PRODUCTS_H_
#define REALM_OPS_TRANSFORMER_PACKED_PRODUCTS_H_

#include "ops/transformer/bert.h"
#include "ops/transformer/lanes.h"
#include "ops/transformer/rows.h"

namespace realm {
namespace {

constexpr int kStrips = kPanel / kLanes;                 // vectors of a panel's row
constexpr int kTile = kLanes == 4 ? 2 : kLanes == 8 ? 6 : 12;  // rows; sums fit in registers

// Panels that a tile goes across: what is loaded of rows is used for all of them.
constexpr int kPanelsAtOnce = kLanes == 16 ? 2 : 1;
constexpr int kAhead = 48;  // depths in which a kernel is fetched before it is multiplied

typedef int16_t Shorts __attribute__((vector_size(4 * kLanes)));

// kLanes columns of a panel of int8, two depths of each.
inline Shorts LoadPairs(const int8_t* from) {
  typedef int8_t Bytes __attribute__((vector_size(2 * kLanes)));
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
#if defined(__AVX512F__)
  return BitCast<Shorts>(_mm512_cvtepi8_epi16(BitCast<__m256i>(bytes)));
#elif defined(__AVX2__)
  return BitCast<Shorts>(_mm256_cvtepi8_epi16(BitCast<__m128i>(bytes)));
#else
  return __builtin_convertvector(bytes, Shorts);
#endif
}

inline Shorts AllPairs(const int16_t* pair) {
  int32_t both;
  std::memcpy(&both, pair, sizeof(both));
  return BitCast<Shorts>(both - Ints{});
}

// sums + the two products of each lane.
inline Ints AddProducts(Ints sums, Shorts a, Shorts b) {
#if defined(__AVX512VNNI__)
  return BitCast<Ints>(_mm512_dpwssd_epi32(BitCast<__m512i>(sums), BitCast<__m512i>(a),
                                           BitCast<__m512i>(b)));
#elif defined(__AVX512F__)
  return sums + BitCast<Ints>(_mm512_madd_epi16(BitCast<__m512i>(a), BitCast<__m512i>(b)));
#elif defined(__AVX2__)
  return sums + BitCast<Ints>(_mm256_madd_epi16(BitCast<__m256i>(a), BitCast<__m256i>(b)));
#else
  for (int i = 0; i < kLanes; ++i) {
    sums[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
  }
  return sums;
#endif
}

// The sums of kRows rows and kAcross panels: in float32,
struct FloatSums {
  const PackedProduct& in;

  template <int kRows, int kAcross>
  void At(int64_t row, int64_t panel, Lanes sums[][kAcross * kStrips]) const {
    const int64_t depth = in.depth;
    const float* x = in.x + row * depth;
    const float* weights = static_cast<const float*>(in.kernel) + panel * depth * kPanel;
    Lanes total[kRows][kAcross * kStrips] = {};
    for (int64_t d = 0; d < depth; ++d, weights += kPanel) {
      Lanes strip[kAcross * kStrips];
      for (int p = 0; p < kAcross; ++p) {
        const float* at = weights + p * depth * kPanel;
        for (int i = 0; i < kStrips; ++i) strip[p * kStrips + i] = Load(at + i * kLanes);
        __builtin_prefetch(at + kAhead * kPanel);
      }
      for (int r = 0; r < kRows; ++r) {
        const Lanes value = All(x[r * depth + d]);
        for (int i = 0; i < kAcross * kStrips; ++i) total[r][i] += value * strip[i];
      }
    }
    std::memcpy(sums, total, sizeof(total));
  }
};

// and in whole numbers.
struct RoundedSums {
  const PackedProduct& in;

  template <int kRows, int kAcross>
  void At(int64_t row, int64_t panel, Lanes sums[][kAcross * kStrips]) const {
    const int64_t depth = RoundUp(in.depth, 2);
    const int16_t* x = in.rounded + row * depth;
    const int8_t* weights = static_cast<const int8_t*>(in.kernel) + panel * depth * kPanel;
    Ints total[kRows][kAcross * kStrips] = {};
    for (int64_t d = 0; d < depth; d += 2, weights += 2 * kPanel) {
      Shorts strip[kAcross * kStrips];
      for (int p = 0; p < kAcross; ++p) {
        const int8_t* at = weights + p * depth * kPanel;
        for (int i = 0; i < kStrips; ++i) {
          strip[p * kStrips + i] = LoadPairs(at + 2 * i * kLanes);
        }
        if (d % 4 == 0) __builtin_prefetch(at + kAhead * 2 * kPanel);
      }
      for (int r = 0; r < kRows; ++r) {
        const Shorts pair = AllPairs(x + r * depth + d);
        for (int i = 0; i < kAcross * kStrips; ++i) {
          total[r][i] = AddProducts(total[r][i], strip[i], pair);
        }
      }
    }
    for (int i = 0; i < kAcross * kStrips; ++i) {
      const Lanes scale = Load(in.scales + panel * kPanel + i * kLanes);
      for (int r = 0; r < kRows; ++r) {
        sums[r][i] = __builtin_convertvector(total[r][i], Lanes) * scale *
                     in.row_scales[row + r];
      }
    }
  }
};

struct NoActivation {
  static Lanes At(const PackedProduct&, int64_t, int64_t, Lanes sum) { return sum; }
};

template <typename Function>
struct BiasAndActivation {
  static Lanes At(const PackedProduct& in, int64_t column, int64_t count, Lanes sum) {
    return Function::template At<7>(sum + Load(in.bias + column, count)).value;
  }
};

template <int kRows, int kAcross, typename Sums, typename Finish>
void MultiplyTile(const PackedProduct& in, int64_t row, int64_t panel) {
  Lanes sums[kRows][kAcross * kStrips];
  Sums{in}.template At<kRows, kAcross>(row, panel, sums);
  for (int i = 0; i < kAcross * kStrips; ++i) {
    const int64_t column = panel * kPanel + i * kLanes;
    const int64_t count = Min(kLanes, in.width - column);
    if (count <= 0) break;
    for (int r = 0; r < kRows; ++r) {
      Store(in.y + (row + r) * in.width + column,
            Finish::At(in, column, count, sums[r][i]), count);
    }
  }
}

// Of `rows` <= kRows rows.
template <int kRows, int kAcross, typename Sums, typename Finish>
void MultiplyRows(const PackedProduct& in, int64_t row, int64_t rows, int64_t panel) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return MultiplyRows<kRows - 1, kAcross, Sums, Finish>(in, row, rows, panel);
    }
  }
  MultiplyTile<kRows, kAcross, Sums, Finish>(in, row, panel);
}

// All rows of the part, by kAcross panels.
template <int kAcross, typename Sums, typename Finish>
void MultiplyDown(const PackedProduct& in, const Part& part, int64_t panel) {
  for (int64_t row = part.first_row; row < part.last_row;) {
    // Tiles of about one height: what is left at the end is not a short one.
    const int64_t left = part.last_row - row, tiles = (left + kTile - 1) / kTile;
    const int64_t rows = (left + tiles - 1) / tiles;
    MultiplyRows<kTile, kAcross, Sums, Finish>(in, row, rows, panel);
    row += rows;
  }
}

template <typename Sums, typename Finish>
void MultiplyPanels(const PackedProduct& in, const Part& part) {
  constexpr int kAcross = kPanelsAtOnce;
  int64_t panel = part.first_panel;
  for (; panel + kAcross <= part.last_panel; panel += kAcross) {
    MultiplyDown<kAcross, Sums, Finish>(in, part, panel);
  }
  if constexpr (kAcross > 1) {
    for (; panel < part.last_panel; ++panel) MultiplyDown<1, Sums, Finish>(in, part, panel);
  }
}

template <typename Sums>
void MultiplyAndFinish(const PackedProduct& in, const Part& part) {
  if (in.bias == nullptr) return MultiplyPanels<Sums, NoActivation>(in, part);
  switch (in.activation) {
    case Activation::kGelu:
      return MultiplyPanels<Sums, BiasAndActivation<Gelu>>(in, part);
    case Activation::kGeluTanh:
      return MultiplyPanels<Sums, BiasAndActivation<GeluTanh>>(in, part);
    case Activation::kRelu:
      return MultiplyPanels<Sums, BiasAndActivation<Relu>>(in, part);
  }
}

void MultiplyPacked(const PackedProduct& in, const Part& part) {
  in.rounded == nullptr ? MultiplyAndFinish<FloatSums>(in, part)
                        : MultiplyAndFinish<RoundedSums>(in, part);
}

// Rows to whole numbers from -most to most, each by its own scale; of next to nothing to 0.
void RoundRows(const RowsToRound& in, int64_t begin, int64_t end) {
  constexpr float kRounder = 12582912.f;  // 1.5 * 2^23: adding it rounds to whole numbers
  for (int64_t row = begin; row < end; ++row) {
    const float* x = in.x + row * in.width;
    int16_t* to = in.rounded + row * RoundUp(in.width, 2);
    Lanes largest{};
    ForLanes(in.width, [&](int64_t i, int64_t n) {
      largest = Max(largest, Abs(Load(x + i, n)));
    });
    const float most = Max(largest);
    const float scale = most > 1e-30f ? in.most / most : 0;  // finite
    ForLanes(in.width, [&](int64_t i, int64_t n) {
      const Lanes shifted = Load(x + i, n) * scale + kRounder;
      const Bits whole = BitCast<Bits>(shifted) - BitCast<Bits>(All(kRounder));
      const auto shorts = __builtin_convertvector(BitCast<Ints>(whole), Halves);
      std::memcpy(to + i, &shorts, 2 * n);
    });
    if (in.width % 2) to[in.width] = 0;
    in.row_scales[row] = most / in.most;
  }
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_PACKED_PRODUCTS_H_
