// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A libFuzzer target: any shape, any values, any kernel; the answer is a full sort's, or
// a pair is named whose score is not a number. `make fuzz` builds and runs it.

#include "ops/top_k/brute_force.h"

#include <cmath>
#include <cstdlib>
#include <limits>

namespace realm {
namespace {

// Reads numbers off the input, and zeros beyond its end.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  int64_t Below(int64_t limit) {
    uint32_t number = 0;
    for (int i = 0; i < (limit > 256 ? 2 : 1); ++i) {
      number = number << 8 | (at_ < size_ ? data_[at_++] : 0);
    }
    return number % limit;
  }

  // Half of them small, a few of them special; else of any size.
  float Value() {
    const int64_t kind = Below(64);
    if (kind < 32) return kind - 16;
    if (kind == 32) return std::numeric_limits<float>::infinity();
    if (kind == 33) return std::numeric_limits<float>::quiet_NaN();
    return std::ldexp(1 + Below(256) / 256.0f, Below(277) - 149) * (kind % 2 ? 1 : -1);
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

void Require(bool condition) {
  if (!condition) std::abort();
}

void Search(Bytes bytes) {
  Case c = {};
  c.batch = 1 + bytes.Below(bytes.Below(4) == 0 ? 70 : 6);
  c.rows = 1 + bytes.Below(bytes.Below(4) == 0 ? 6000 : 300);
  c.depth = bytes.Below(bytes.Below(4) == 0 ? 300 : 40);
  c.width = bytes.Below(std::min<int64_t>(c.rows, 5));
  c.k = bytes.Below(c.rows - c.width + 1);
  for (int64_t i = 0; i < c.batch * c.width; ++i) {
    c.banned.push_back(bytes.Below(c.rows + 1) - 1);
  }
  // A few values, over and over: as many as the input may hold.
  std::vector<float> values(1 + bytes.Below(251));
  for (float& value : values) value = bytes.Value();
  const int64_t stride = 1 + bytes.Below(values.size());
  for (int64_t i = 0; i < c.batch * c.depth; ++i) {
    c.queries.push_back(values[i * stride % values.size()]);
  }
  for (int64_t i = 0; i < c.rows * c.depth; ++i) {
    c.table.push_back(values[(i + i / 97) % values.size()]);
  }
  const Stored table(c, bytes.Below(2) ? Element::kFloat32 : Element::kBfloat16);
  const BannedRows banned =
      BannedRows::From(c.banned.data(), c.batch, c.width, c.rows);
  const Kernel& kernel = AvailableKernels()[bytes.Below(AvailableKernels().size())];
  TopKInput input = {c.queries.data(), table.data(), table.element, c.batch,
                     c.rows,           c.depth,      c.k,           &banned};
  const Shadow shadow(c, table);
  if (bytes.Below(2)) {
    input.codes = shadow.codes.data();
    input.bounds = shadow.bounds.data();
  }
  Answer answer;
  answer.scores.resize(c.batch * c.k);
  answer.rows.resize(c.batch * c.k);
  const auto nan = TopKInnerProduct(input, kernel, RunOnThreads, 1 + bytes.Below(3),
                                    answer.scores.data(), answer.rows.data());
  bool any = false;
  for (int64_t i = 0; i < c.batch * c.rows; ++i) {
    any |= std::isnan(Score(c, table, i / c.rows, i % c.rows));
  }
  if (any && c.k > 0) {
    Require(nan && std::isnan(Score(c, table, nan->query, nan->row)));
    return;
  }
  const Answer expected = BruteForce(c, table);
  Require(!nan && answer.rows == expected.rows && answer.scores == expected.scores);
}

}  // namespace
}  // namespace realm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  realm::Search(realm::Bytes(data, size));
  return 0;
}
