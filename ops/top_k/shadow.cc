// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/shadow.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/top_k/tiny_numbers.h"

namespace realm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kLargestCode = 127;
constexpr int64_t kLargestDepth = int64_t{1} << 18;
constexpr int64_t kRowsPerTask = 4096;

bool Codable(float scale) { return scale >= 0x1p-40f && scale <= 0x1p40f; }

// Codes of size up to `largest`; returns their unit, 0 if there is none. The
// square of what the codes lose goes to `lost`; codes beyond `depth` are zeroed.
template <typename Code>
float Encode(const float* values, int64_t depth, int largest, Code* codes,
             double* lost) {
  float most = 0;
  bool finite = true;
  for (int64_t d = 0; d < depth; ++d) {
    const float size = std::fabs(values[d]);
    finite &= size < kInfinity;
    most = size > most ? size : most;
  }
  const float unit = most / largest;
  std::fill(codes, codes + ShadowStride(depth), 0);
  *lost = most == 0 && finite ? 0 : kInfinity;
  if (!finite || !Codable(unit)) return 0;
  const float inverse = 1 / unit;
  const float limit = largest;
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d) {
    // Any code is right, as its error is measured; the nearest is best.
    const float scaled = values[d] * inverse;
    const float nearest = scaled + (scaled < 0 ? -0.5f : 0.5f);
    const float kept = nearest < -limit ? -limit : nearest > limit ? limit : nearest;
    codes[d] = static_cast<Code>(static_cast<int>(kept));
    const double error = values[d] - double{unit} * codes[d];
    sum += error * error;
  }
  *lost = sum;
  return unit;
}

// `x` is not negative; the margin is far more than what computing it lost.
float RoundUp(double x) {
  return std::nextafter(static_cast<float>(x * (1 + 0x1p-10)), kInfinity);
}

void Widen(const void* table, Element element, int64_t row, int64_t depth,
           float* out) {
  if (element == Element::kFloat32) {
    const float* in = static_cast<const float*>(table) + row * depth;
    std::copy(in, in + depth, out);
    return;
  }
  const uint16_t* in = static_cast<const uint16_t*>(table) + row * depth;
  for (int64_t d = 0; d < depth; ++d) {
    const uint32_t bits = uint32_t{in[d]} << 16;
    std::memcpy(out + d, &bits, sizeof(bits));
  }
}

}  // namespace

void MakeShadow(const void* table, Element element, int64_t rows, int64_t depth,
                const ParallelFor& parallel_for, int8_t* codes, float* bounds) {
  const int64_t stride = ShadowStride(depth);
  const int64_t tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  parallel_for(tasks, [&](int64_t task) {
    const KeepTinyNumbers keep;
    std::vector<float> values(depth);
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      Widen(table, element, row, depth, values.data());
      double lost;
      bounds[row] =
          Encode(values.data(), depth, kLargestCode, codes + row * stride, &lost);
      bounds[rows + row] = RoundUp(std::sqrt(lost));
    }
  });
}

QueryCodes EncodeQuery(const float* query, int64_t depth, int16_t* codes) {
  // The product of codes must fit into 32 bits.
  const int64_t fit = std::numeric_limits<int32_t>::max() /
                      (kLargestCode * std::max<int64_t>(depth, 1));
  const int largest = std::clamp<int64_t>(fit, 1, 32767);
  double lost, square = 0;
  const float unit = Encode(query, depth, largest, codes, &lost);
  if (!(lost < kInfinity) || depth > kLargestDepth) {
    return {0, kInfinity, kInfinity};
  }
  for (int64_t d = 0; d < depth; ++d) square += double{query[d]} * query[d];
  const double norm = std::sqrt(square), loss = std::sqrt(lost);
  const double code_norm = kLargestCode * std::sqrt(double(depth));
  return {unit, RoundUp(norm),
          RoundUp((loss + 0x1p-22 * (norm + loss)) * code_norm)};
}

}  // namespace realm
