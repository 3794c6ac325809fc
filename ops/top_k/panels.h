// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Queries, laid out for the scanners and with their error bounds.

#ifndef REALM_OPS_TOP_K_PANELS_H_
#define REALM_OPS_TOP_K_PANELS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/top_k/inner_product.h"
#include "ops/top_k/shadow.h"

namespace realm {

// Cache-line aligned, uninitialised memory.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(int64_t bytes)
      : data_(static_cast<char*>(
            ::operator new[](bytes > 0 ? bytes : 1, std::align_val_t{64}))) {}

  template <typename T>
  T* As() const {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  struct Delete {
    void operator()(char* p) const {
      ::operator delete[](p, std::align_val_t{64});
    }
  };
  std::unique_ptr<char[], Delete> data_;
};

// Point 4 of the header, relative.
constexpr float kSlack = 0x1p-21f;

// |q.r - s'| <= slope * |r| + constant.
struct Bound {
  float slope;
  float constant;
};

// The largest norm that the group can have whose largest squared norm the
// scanner computed as `square`.
float ReachOf(float square, int64_t depth, bool rounded);

// Queries that are scanned together.
class QueryPanel {
 public:
  // What the scan reads: queries and rows themselves, both rounded to bfloat16, or
  // codes of both (see shadow.h).
  enum Form { kFloats, kRounded, kCodes };

  QueryPanel(const TopKInput& input, const Kernel& kernel, int64_t first,
             int count);

  int64_t first() const { return first_; }
  int count() const { return count_; }
  int strips() const { return (count_ + kStrip - 1) / kStrip; }

  const void* packed(Form form) const {
    return (form == kRounded ? rounded_ : floats_).As<void>();
  }
  const float* slopes(Form form) const { return slopes_[form]; }
  const float* constants(Form form) const { return constants_[form]; }

  // What s' must reach for the pair to matter, where k rows reach `threshold`
  // and the row has no length; +infinity for a lane that has no query.
  float Cut(Form form, int lane, float threshold) const;

  // A query, padded with zeros to a multiple of 16.
  const double* query(int lane) const {
    return padded_.As<double>() + lane * stride_;
  }

  // For panels of at most kMaxFew queries.
  FewQueries<float> few() const {
    return {few_.As<float>(), code_stride_, count_};
  }
  FewQueries<int16_t> few_codes() const {
    return {codes_.As<int16_t>(), code_stride_, count_};
  }
  const QueryCodes& coded(int lane) const { return coded_[lane]; }

 private:
  const float* QueryOf(const TopKInput& input, int lane) const {
    return input.queries + (first_ + lane) * input.depth;
  }

  void PackFloats(const TopKInput& input);
  void PackFew(const TopKInput& input);
  void PackRounded(const TopKInput& input);
  void PackCodes(const TopKInput& input);

  int64_t first_;
  int count_;
  int64_t stride_, code_stride_;
  AlignedBuffer padded_, floats_, rounded_, few_, codes_;
  float slopes_[2][kMaxStrips * kStrip];
  float constants_[3][kMaxStrips * kStrip];
  QueryCodes coded_[kMaxFew];
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_PANELS_H_
