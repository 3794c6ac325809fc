// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What the tests of the kernels compare with: plain loops in double precision, and for a
// gradient central differences of these.

#ifndef REALM_OPS_TRANSFORMER_EXPECT_NEAR_H_
#define REALM_OPS_TRANSFORMER_EXPECT_NEAR_H_

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "ops/common/run_tests.h"
#include "ops/transformer/transformer.h"

namespace realm {

using Doubles = std::vector<double>;

inline Doubles Random(int64_t count, double spread = 1) {
  std::normal_distribution<double> normal(0, spread);
  Doubles values(count);
  for (double& value : values) value = normal(random_bits);
  return values;
}

// Values as the ops hold them, and the doubles that these are exactly.
struct Stored {
  Row row;
  std::vector<float> floats;
  std::vector<uint16_t> halves;

  Stored(Row row, int64_t count) : row(row) {
    row == Row::kFloat32 ? floats.resize(count) : halves.resize(count);
  }
  Stored(Row row, const Doubles& values) : Stored(row, values.size()) {
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = values[i];
      uint32_t bits;
      std::memcpy(&bits, &value, 4);
      row == Row::kFloat32 ? (void)(floats[i] = value)
                           : (void)(halves[i] = (bits + 0x8000) >> 16);
    }
  }
  void* data() {
    return row == Row::kFloat32 ? static_cast<void*>(floats.data()) : halves.data();
  }
  Doubles values() const {
    Doubles result(floats.begin(), floats.end());
    for (uint16_t half : halves) {
      const uint32_t bits = uint32_t{half} << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      result.push_back(value);
    }
    return result;
  }
};

inline std::vector<float> Floats(const Doubles& values) {
  return {values.begin(), values.end()};
}
inline Doubles Wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

// The largest error as a share of the largest value must be below `most`.
inline void ExpectNear(const std::string& what, const Doubles& got, const Doubles& wanted,
                double most) {
  double scale = .1, error = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    scale = std::max(scale, std::fabs(wanted[i]));
    error = std::max(error, std::fabs(got[i] - wanted[i]));
    if (!std::isfinite(got[i])) error = INFINITY;
  }
  if (error <= most * scale) return;
  std::printf("%s: error %g of %g\n", what.c_str(), error, scale);
  ++failures;
}

// The gradient of sum(upstream * f(x)) at `places` drawn from x, by differences. `scale`
// is of what cancels where the gradient is next to 0.
inline void ExpectGradient(const std::string& what, const Doubles& x, const Doubles& got,
                    const Doubles& upstream, const std::function<Doubles(const Doubles&)>& f,
                    double most, double scale = 0) {
  const double step = 1e-5;
  Doubles at_places, wanted;
  for (double value : got) scale = std::max(scale, std::fabs(value));
  for (int draw = 0; draw < 12; ++draw) {
    const size_t place = random_bits() % x.size();
    double difference = 0;
    for (double sign : {1., -1.}) {
      Doubles moved = x;
      moved[place] += sign * step;
      const Doubles y = f(moved);
      for (size_t i = 0; i < y.size(); ++i) difference += sign * upstream[i] * y[i];
    }
    wanted.push_back(difference / (2 * step));
    at_places.push_back(got[place]);
  }
  wanted.push_back(scale);  // errors are shares of it, or of the largest gradient
  at_places.push_back(scale);
  ExpectNear(what, at_places, wanted, most);
}

using Task = std::function<void(int64_t)>;

inline const ParallelTasks kInOrder = [](int64_t tasks, const Task& task) {
  for (int64_t i = 0; i < tasks; ++i) task(i);
};
// As a pool may: in any order.
inline const ParallelTasks kBackwards = [](int64_t tasks, const Task& task) {
  for (int64_t i = tasks; i-- > 0;) task(i);
};

inline double Activated(Activation activation, double x) {
  switch (activation) {
    case Activation::kGelu: return x * .5 * std::erfc(-x / std::sqrt(2.));
    case Activation::kGeluTanh:
      return .5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + .044715 * x * x * x)));
    case Activation::kRelu: return std::max(x, 0.);
  }
  return NAN;
}

}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_EXPECT_NEAR_H_
