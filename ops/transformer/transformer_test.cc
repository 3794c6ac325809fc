// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Every kernel against plain loops in double precision: forward by the definition, the
// gradient by central differences of it. Prints its seed; an argument sets it.

#include "ops/transformer/transformer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace realm {
namespace {

using Doubles = std::vector<double>;

int failures = 0;
std::mt19937_64 random_bits;

Doubles Random(int64_t count, double spread = 1) {
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

std::vector<float> Floats(const Doubles& values) { return {values.begin(), values.end()}; }
Doubles Wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }

// The largest error as a share of the largest value must be below `most`.
void ExpectNear(const std::string& what, const Doubles& got, const Doubles& wanted,
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
void ExpectGradient(const std::string& what, const Doubles& x, const Doubles& got,
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

const ParallelTasks kInOrder = [](int64_t tasks, const std::function<void(int64_t)>& task) {
  for (int64_t i = 0; i < tasks; ++i) task(i);
};
// As a pool may: in any order.
const ParallelTasks kBackwards = [](int64_t tasks, const std::function<void(int64_t)>& task) {
  for (int64_t i = tasks; i-- > 0;) task(i);
};

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

double Activated(Activation activation, double x) {
  switch (activation) {
    case Activation::kGelu: return x * .5 * std::erfc(-x / std::sqrt(2.));
    case Activation::kGeluTanh:
      return .5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + .044715 * x * x * x)));
    case Activation::kRelu: return std::max(x, 0.);
  }
  return NAN;
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

Doubles Attended(const Doubles& qkv, const Doubles& bias, const std::vector<int32_t>& splits,
                 int64_t heads) {
  const int64_t hidden = bias.size() / 3, size = hidden / heads;
  Doubles context(qkv.size() / 3);
  const auto at = [&](int64_t token, int64_t part, int64_t i) {
    const int64_t column = part * hidden + i;
    return qkv[token * 3 * hidden + column] + bias[column];
  };
  for (size_t s = 0; s + 1 < splits.size(); ++s) {
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t i = splits[s]; i < splits[s + 1]; ++i) {
        Doubles weights;
        double most = -1e300, sum = 0;
        for (int64_t j = splits[s]; j < splits[s + 1]; ++j) {
          double score = 0;
          for (int64_t d = head * size; d < (head + 1) * size; ++d) {
            score += at(i, 0, d) * at(j, 1, d);
          }
          weights.push_back(score / std::sqrt(size));
          most = std::max(most, weights.back());
        }
        for (double& weight : weights) sum += weight = std::exp(weight - most);
        for (int64_t j = splits[s]; j < splits[s + 1]; ++j) {
          for (int64_t d = head * size; d < (head + 1) * size; ++d) {
            context[i * hidden + d] += weights[j - splits[s]] / sum * at(j, 2, d);
          }
        }
      }
    }
  }
  return context;
}

void TestAttention(const TransformerKernel& kernel, Row row,
                   const std::vector<int32_t>& splits, int64_t heads, int64_t size,
                   double spread, double most, const std::string& name) {
  const int64_t count = splits.back(), hidden = heads * size;
  const int64_t sequences = splits.size() - 1;
  Stored qkv(row, Random(count * 3 * hidden, spread)), dcontext(row, Random(count * hidden));
  auto bias = Floats(Random(3 * hidden, spread / 3));
  Stored context(row, count * hidden), dqkv(row, count * 3 * hidden);
  std::vector<float> log_sums(count * heads), dbias(3 * hidden);
  Compute(Attention{row, sequences, heads, hidden, splits.data(), qkv.data(), bias.data(),
                    context.data(), log_sums.data()},
          kernel, kBackwards);
  Compute(AttentionGrad{row, sequences, heads, hidden, splits.data(), qkv.data(),
                        bias.data(), context.data(), log_sums.data(), dcontext.data(),
                        dqkv.data(), dbias.data()},
          kernel, kInOrder);
  const Doubles X = qkv.values(), B = Wide(bias), U = dcontext.values();
  ExpectNear(name + " context", context.values(), Attended(X, B, splits, heads), most);
  if (count == 0) return;
  ExpectGradient(name + " dqkv", X, dqkv.values(), U,
                 [&](const Doubles& v) { return Attended(v, B, splits, heads); }, most);
  ExpectGradient(name + " dbias", B, Wide(dbias), U,
                 [&](const Doubles& v) { return Attended(X, v, splits, heads); }, most);
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

void TestAll(const TransformerKernel& kernel) {
  for (int64_t count : {1, 77, 150000}) TestAdamW(kernel, count);
  for (Row row : {Row::kFloat32, Row::kBfloat16}) {
    const bool exact = row == Row::kFloat32;
    const std::string name =
        std::string(kernel.name) + (exact ? " float32" : " bfloat16");
    const double most = exact ? 2e-5 : 2e-2;
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
    int number = 0;
    for (const std::vector<int32_t>& splits : std::vector<std::vector<int32_t>>{
             {0, 1}, {0, 7}, {0, 0, 33, 33, 40}, {0, 64}, {0, 5, 75, 76, 120}, {0},
             {0, 0}, {0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36}}) {
      const std::string which = name + " attention " + std::to_string(number++);
      TestAttention(kernel, row, splits, 2, 32, 1, most, which);
      TestAttention(kernel, row, splits, 1, 5, 1, most, which + " of 5");
      TestAttention(kernel, row, splits, 2, 64, 1, most, which + " of 64");
      // Scores in the hundreds, so one key has all the weight; rounded to bfloat16 they are
      // off by whole units, so only what is far off is an error there.
      TestAttention(kernel, row, splits, 1, 32, 6, exact ? 1e-3 : .5, which + " peaked");
    }
  }
}

}  // namespace
}  // namespace realm

int main(int count, char** arguments) {
  const unsigned long seed =
      count > 1 ? std::strtoul(arguments[1], nullptr, 10) : std::random_device()();
  std::printf("seed %lu; kernels:", seed);
  realm::random_bits.seed(seed);
  for (const auto& kernel : realm::TransformerKernels()) std::printf(" %s", kernel.name);
  std::printf("\n");
  for (const auto& kernel : realm::TransformerKernels()) realm::TestAll(kernel);
  if (realm::failures == 0) std::printf("all are what plain loops give\n");
  return realm::failures != 0;
}
