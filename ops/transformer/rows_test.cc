// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Norms, activations and the update.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ops/transformer/expect_near.h"

namespace realm {
namespace {

Doubles Norm(const Doubles& x, const Doubles& delta, const Doubles& bias,
             const Doubles& gamma, const Doubles& beta, double epsilon) {
  const size_t width = bias.size();
  Doubles y(x.size());
  for (size_t first = 0; first < x.size(); first += width) {
    double mean = 0, variance = 0;
    Doubles sum(width);
    for (size_t i = 0; i < width; ++i) {
      sum[i] = x[first + i] + delta[first + i] + bias[i];
      mean += sum[i] / width;
    }
    for (size_t i = 0; i < width; ++i) variance += std::pow(sum[i] - mean, 2) / width;
    for (size_t i = 0; i < width; ++i) {
      y[first + i] = (sum[i] - mean) / std::sqrt(variance + epsilon) * gamma[i] + beta[i];
    }
  }
  return y;
}

void TestNorm(const TransformerKernel& kernel, Row row, int64_t count, int64_t width,
              double most, const std::string& name) {
  const double epsilon = 1e-12f;
  Stored x(row, Random(count * width)), delta(row, Random(count * width));
  Stored dy(row, Random(count * width));
  auto bias = Floats(Random(width)), gamma = Floats(Random(width));
  auto beta = Floats(Random(width));
  Stored y(row, count * width), dsum(row, count * width);
  std::vector<float> mean(count), scale(count), dbias(width), dgamma(width), dbeta(width);
  Compute(ResidualNorm{row, count, width, x.data(), delta.data(), bias.data(), gamma.data(),
                       beta.data(), 1e-12f, y.data(), mean.data(), scale.data()},
          kernel, kBackwards);
  Compute(ResidualNormGrad{row, count, width, x.data(), delta.data(), bias.data(),
                           gamma.data(), mean.data(), scale.data(), dy.data(), dsum.data(),
                           dbias.data(), dgamma.data(), dbeta.data()},
          kernel, kInOrder);
  const Doubles X = x.values(), D = delta.values(), B = Wide(bias), G = Wide(gamma),
                E = Wide(beta), U = dy.values();
  ExpectNear(name + " y", y.values(), Norm(X, D, B, G, E, epsilon), most);
  ExpectGradient(name + " dx", X, dsum.values(), U,
                 [&](const Doubles& v) { return Norm(v, D, B, G, E, epsilon); }, most);
  ExpectGradient(name + " dbias", B, Wide(dbias), U,
                 [&](const Doubles& v) { return Norm(X, D, v, G, E, epsilon); }, most);
  ExpectGradient(name + " dgamma", G, Wide(dgamma), U,
                 [&](const Doubles& v) { return Norm(X, D, B, v, E, epsilon); }, most);
  ExpectGradient(name + " dbeta", E, Wide(dbeta), U,
                 [&](const Doubles& v) { return Norm(X, D, B, G, v, epsilon); }, most);
}

void TestActivation(const TransformerKernel& kernel, Row row, Activation activation,
                    int64_t count, int64_t width, double most, const std::string& name) {
  Stored x(row, Random(count * width, 3)), dy(row, Random(count * width));
  auto bias = Floats(Random(width));
  // A difference over the kink of a ReLU is no slope: sums keep away from it.
  const Doubles rows = x.values();
  for (int64_t i = 0; i < count * width;) {
    const bool near = std::fabs(rows[i] + bias[i % width]) < 1e-4;
    if (near) bias[i % width] += 3e-4f;
    i = near ? i % width : i + 1;  // its column anew
  }
  Stored y = x, dx = dy, again(row, count * width);  // the first two: in place
  std::vector<float> dbias(width);
  Compute(BiasActivation{row, activation, count, width, y.data(), bias.data(), y.data()},
          kernel, kBackwards);
  Compute(BiasActivationGrad{row, activation, count, width, x.data(), bias.data(), dx.data(),
                             dx.data(), again.data(), dbias.data()},
          kernel, kInOrder);
  const Doubles X = x.values(), B = Wide(bias), U = dy.values();
  const auto f = [&](const Doubles& x, const Doubles& bias) {
    Doubles result(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      result[i] = Activated(activation, x[i] + bias[i % width]);
    }
    return result;
  };
  ExpectNear(name + " y", y.values(), f(X, B), most);
  ExpectNear(name + " y again", again.values(), f(X, B), most);
  double largest = 0;
  for (double u : U) largest = std::max(largest, std::fabs(u));
  ExpectGradient(name + " dx", X, dx.values(), U,
                 [&](const Doubles& v) { return f(v, B); }, most, largest);
  ExpectGradient(name + " dbias", B, Wide(dbias), U,
                 [&](const Doubles& v) { return f(X, v); }, most, largest);
}

void TestAdamW(const TransformerKernel& kernel, int64_t count) {
  std::vector<float> got = Floats(Random(count)), new_m = Floats(Random(count));
  std::vector<float> new_v = Floats(Random(count));
  const std::vector<float> gradient = Floats(Random(count));
  for (float& x : new_v) x *= x;
  const Doubles values = Wide(got), m = Wide(new_m), v = Wide(new_v);
  const Doubles grad = Wide(gradient);
  Compute(AdamW{count, gradient.data(), .25f, .9f, .999f, 1e-6f, .125f, .5f, got.data(),
                new_m.data(), new_v.data()},
          kernel, kBackwards);
  Doubles wanted(count), wanted_m(count), wanted_v(count);
  for (int64_t i = 0; i < count; ++i) {
    const double g = .25 * grad[i];
    wanted_m[i] = .9 * m[i] + .1 * g;
    wanted_v[i] = .999 * v[i] + .001 * g * g;
    wanted[i] = values[i] * .875 - .5 * wanted_m[i] / (std::sqrt(wanted_v[i]) + 1e-6);
  }
  const std::string name = std::string(kernel.name) + " AdamW";
  ExpectNear(name, Wide(got), wanted, 1e-5);
  ExpectNear(name + " m", Wide(new_m), wanted_m, 2e-6);
  ExpectNear(name + " v", Wide(new_v), wanted_v, 2e-6);
}

void TestRows(const TransformerKernel& kernel, Row row, double most,
              const std::string& name) {
  for (auto [count, width] : {std::pair{1, 1}, {3, 16}, {5, 37}, {300, 48}, {0, 8}}) {
    const std::string size = " " + std::to_string(count) + "x" + std::to_string(width);
    if (width > 1 && count) {
      TestNorm(kernel, row, count, width, most, name + " norm" + size);
    }
    for (Activation activation :
         {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
      if (count == 0) continue;
      TestActivation(kernel, row, activation, count, width, most,
                     name + " activation " + std::to_string(int(activation)) + size);
    }
  }
}

void TestAll() {
  for (const TransformerKernel& kernel : TransformerKernels()) {
    for (int64_t count : {1, 77, 150000}) TestAdamW(kernel, count);
    TestRows(kernel, Row::kFloat32, 2e-5, std::string(kernel.name) + " float32");
    TestRows(kernel, Row::kBfloat16, 2e-2, std::string(kernel.name) + " bfloat16");
  }
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::TransformerKernels(), realm::TestAll);
}
