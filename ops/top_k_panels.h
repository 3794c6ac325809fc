// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Queries, laid out for the scanners and with their error bounds.

#ifndef REALM_OPS_TOP_K_PANELS_H_
#define REALM_OPS_TOP_K_PANELS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "top_k_inner_product.h"

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

// |q.r - s'| <= slope * |r| + constant.
struct Bound {
  float slope;
  float constant;
};

// The largest norm that the group can have whose largest squared norm the
// scanner computed as `square`.
float ReachOf(float square, int64_t depth, bool rounded);

// A few queries that are scanned together.
class QueryPanel {
 public:
  QueryPanel(const TopKInput& input, const Kernel& kernel, int64_t first,
             int count);

  int64_t first() const { return first_; }
  int count() const { return count_; }
  int strips() const { return (count_ + kStrip - 1) / kStrip; }

  const void* packed(const Scanner* scanner) const {
    return (scanner->rounds ? rounded_ : floats_).As<void>();
  }
  const float* slopes(const Scanner* scanner) const {
    return scanner->rounds ? rounded_slopes_ : float_slopes_;
  }
  // What s' must reach for the pair to matter, where k rows reach `threshold`
  // and the row has no length; +infinity for a lane that has no query.
  float Cut(const Scanner* scanner, int lane, float threshold) const;

  // A query, padded with zeros to a multiple of 16.
  const float* query(int lane) const {
    return padded_.As<float>() + lane * stride_;
  }

 private:
  void PackFloats(const TopKInput& input);
  void PackRounded(const TopKInput& input);

  int64_t first_;
  int count_;
  int64_t stride_;
  AlignedBuffer padded_;
  AlignedBuffer floats_;
  AlignedBuffer rounded_;
  float float_slopes_[kMaxStrips * kStrip];
  float float_constants_[kMaxStrips * kStrip];
  float rounded_slopes_[kMaxStrips * kStrip];
  float rounded_constants_[kMaxStrips * kStrip];
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_PANELS_H_
