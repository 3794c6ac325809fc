// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/panels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

namespace realm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kLargestNorm = 0x1p63;
constexpr int64_t kLargestDepth = int64_t{1} << 18;

// g of the header: the relative error of a float sum of `depth` products.
double SumError(int64_t depth) { return 1.07 * (2.0 * depth + 2) * 0x1p-23; }

// `x` is not negative; the result is not less.
float RoundUp(double x) {
  return std::nextafter(static_cast<float>(x), kInfinity);
}

uint16_t ToBfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if (std::isnan(x)) return bits >> 16 | 0x40;  // quiet, whatever was cut off
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

float FromBfloat16(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// `norm` = |q|, `rounding` = |q - q1|: points 1 to 3 and 5 of the header.
Bound BoundFor(double norm, double rounding, bool rounds, Element table,
               int64_t depth) {
  if (!(norm <= kLargestNorm) || !(rounding <= kLargestNorm) ||
      depth > kLargestDepth) {
    return {kInfinity, 0};
  }
  const double tiny = depth * 0x1p-125;
  double slope = rounding + SumError(depth) * (norm + rounding) * (1 + 0x1p-8);
  if (rounds && table == Element::kFloat32) {
    slope += 0x1p-8 * (norm + rounding);
  }
  return {RoundUp(slope * (1 + 0x1p-10) + tiny),
          RoundUp(tiny * (1 + norm) + 0x1p-149)};
}

}  // namespace

float ReachOf(float square, int64_t depth, bool rounded) {
  if (!(square <= kLargestNorm * kLargestNorm) || depth > kLargestDepth) {
    return kInfinity;
  }
  const double norm =
      std::sqrt(square / (1 - SumError(depth)) + depth * 0x1p-125);
  return RoundUp(rounded ? norm / (1 - 0x1p-8) : norm);
}

QueryPanel::QueryPanel(const TopKInput& input, const Kernel& kernel,
                       int64_t first, int count)
    : first_(first),
      count_(count),
      stride_((input.depth + 15) / 16 * 16),
      code_stride_(ShadowStride(input.depth)),
      padded_(count * stride_ * sizeof(double)),
      floats_(strips() * kStrip * input.depth * sizeof(float)),
      rounded_(kernel.rounding == nullptr
                   ? 0
                   : (input.depth + kTileDepth - 1) / kTileDepth * kTileDepth *
                         strips() * kStrip * sizeof(uint16_t)),
      few_(IsFew(input) ? count * code_stride_ * sizeof(float) : 0),
      codes_(HasShadow(input) ? count * code_stride_ * sizeof(int16_t) : 0) {
  double* padded = padded_.As<double>();
  std::fill(padded, padded + count * stride_, 0.0);
  for (int lane = 0; lane < count; ++lane) {
    std::copy_n(QueryOf(input, lane), input.depth, padded + lane * stride_);
  }
  PackFloats(input);
  if (IsFew(input)) PackFew(input);
  if (kernel.rounding != nullptr) PackRounded(input);
  if (HasShadow(input)) PackCodes(input);
}

void QueryPanel::PackFloats(const TopKInput& input) {
  float* out = floats_.As<float>();
  const int lanes = strips() * kStrip;
  double squares[kMaxStrips * kStrip] = {};
  for (int64_t d = 0; d < input.depth; ++d) {
    for (int lane = 0; lane < lanes; ++lane) {
      const float x = lane < count_ ? QueryOf(input, lane)[d] : 0.0f;
      out[d * lanes + lane] = x;
      squares[lane] += double{x} * x;
    }
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const Bound bound = BoundFor(std::sqrt(squares[lane]), 0, /*rounds=*/false,
                                 input.element, input.depth);
    slopes_[kFloats][lane] = bound.slope;
    constants_[kFloats][lane] = bound.constant;
  }
}

void QueryPanel::PackFew(const TopKInput& input) {
  float* out = few_.As<float>();
  std::fill(out, out + count_ * code_stride_, 0.0f);
  const bool apart = input.element == Element::kBfloat16;
  for (int lane = 0; lane < count_; ++lane, out += code_stride_) {
    for (int64_t d = 0; d < input.depth; ++d) {
      out[apart ? d / 2 + d % 2 * code_stride_ / 2 : d] = QueryOf(input, lane)[d];
    }
  }
}

void QueryPanel::PackRounded(const TopKInput& input) {
  uint16_t* out = rounded_.As<uint16_t>();
  const int lanes = strips() * kStrip;
  const int64_t depth = (input.depth + kTileDepth - 1) / kTileDepth * kTileDepth;
  for (int lane = 0; lane < lanes; ++lane) {
    double square = 0, lost = 0;
    for (int64_t d = 0; d < depth; ++d) {
      const float x =
          lane < count_ && d < input.depth ? QueryOf(input, lane)[d] : 0.0f;
      const uint16_t rounded = ToBfloat16(x);
      const double error = double{x} - FromBfloat16(rounded);
      square += double{x} * x;
      lost += error * error;
      const int64_t tile = d / kTileDepth * strips() + lane / kStrip;
      const int64_t pair = d % kTileDepth / 2;
      out[((tile * 16 + pair) * kStrip + lane % kStrip) * 2 + d % 2] = rounded;
    }
    const Bound bound = BoundFor(std::sqrt(square), std::sqrt(lost),
                                 /*rounds=*/true, input.element, input.depth);
    slopes_[kRounded][lane] = bound.slope;
    constants_[kRounded][lane] = bound.constant;
  }
}

void QueryPanel::PackCodes(const TopKInput& input) {
  for (int lane = 0; lane < count_; ++lane) {
    coded_[lane] = EncodeQuery(QueryOf(input, lane), input.depth,
                               codes_.As<int16_t>() + lane * code_stride_);
    constants_[kCodes][lane] = 0x1p-149f;
  }
}

float QueryPanel::Cut(Form form, int lane, float threshold) const {
  if (lane >= count_) return kInfinity;
  return threshold - std::fabs(threshold) * kSlack - constants_[form][lane];
}

}  // namespace realm
