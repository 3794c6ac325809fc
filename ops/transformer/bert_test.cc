// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A whole BERT against plain loops in double precision.

#include "ops/transformer/bert.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ops/transformer/expect_near.h"

namespace realm {
namespace {

struct Matrix {
  int64_t rows, columns;
  Doubles values;

  Matrix(int64_t rows, int64_t columns, double spread = 0)
      : rows(rows), columns(columns),
        values(spread > 0 ? Random(rows * columns, spread) : Doubles(rows * columns)) {
    for (double& value : values) value = static_cast<float>(value);
  }
  double& at(int64_t row, int64_t column) { return values[row * columns + column]; }
  double at(int64_t row, int64_t column) const { return values[row * columns + column]; }
};

// Kernels of L layers, and what the op is given of them.
struct Kernels {
  std::vector<Matrix> layers;
  std::vector<float> floats, scales;
  std::vector<int8_t> bytes;
  bool rounded;

  // Rounded ones become what their bytes say.
  Kernels(int64_t count, int64_t depth, int64_t width, bool rounded) : rounded(rounded) {
    const int64_t panels = Panels(width), even = (depth + 1) / 2 * 2;
    for (int64_t layer = 0; layer < count; ++layer) {
      Matrix kernel(depth, width, 1 / std::sqrt(depth));
      std::vector<float> of_columns(panels * kPanel);
      if (rounded) {
        for (int64_t n = 0; n < width; ++n) {
          float most = 0;
          for (int64_t d = 0; d < depth; ++d) {
            most = std::max<float>(most, std::fabs(kernel.at(d, n)));
          }
          of_columns[n] = most / 127;
          for (int64_t d = 0; d < depth; ++d) {
            kernel.at(d, n) = std::nearbyint(kernel.at(d, n) / of_columns[n]);
          }
        }
      }
      for (int64_t panel = 0; panel < panels; ++panel) {
        for (int64_t i = 0; i < (rounded ? even : depth) * kPanel; ++i) {
          const int64_t column =
              panel * kPanel + (rounded ? i / 2 % kPanel : i % kPanel);
          const int64_t row =
              rounded ? i / (2 * kPanel) * 2 + i % 2 : i / kPanel;
          const double value = row < depth && column < width ? kernel.at(row, column) : 0;
          rounded ? bytes.push_back(value) : floats.push_back(value);
        }
      }
      if (rounded) {
        for (int64_t i = 0; i < depth * width; ++i) {
          kernel.values[i] *= of_columns[i % width];
        }
      }
      scales.insert(scales.end(), of_columns.begin(), of_columns.end());
      layers.push_back(std::move(kernel));
    }
  }

  PackedKernels packed() const {
    if (rounded) return {bytes.data(), scales.data()};
    return {floats.data(), nullptr};
  }
};

struct Model {
  BertSizes sizes;
  Matrix words, positions, types, norm;
  Kernels qkv, attention_output, inner, output;
  std::vector<Matrix> vectors;  // eight, [L, ..]

  Model(const BertSizes& s, bool rounded)
      : sizes(s), words(11, s.hidden, 1), positions(300, s.hidden, 1), types(2, s.hidden, 1),
        norm(2, s.hidden, 1), qkv(s.layers, s.hidden, 3 * s.hidden, rounded),
        attention_output(s.layers, s.hidden, s.hidden, rounded),
        inner(s.layers, s.hidden, s.inner, rounded),
        output(s.layers, s.inner, s.hidden, rounded) {
    for (int64_t width : {3 * s.hidden, s.hidden, s.hidden, s.hidden, s.inner, s.hidden,
                          s.hidden, s.hidden}) {
      vectors.emplace_back(s.layers, width, .5);
    }
  }
};

// norm(x + delta + bias) gamma + beta, of every row.
void AddAndNormalise(Matrix* x, const Matrix& delta, const double* bias, const double* gamma,
                     const double* beta, double epsilon) {
  const int64_t width = x->columns;
  for (int64_t row = 0; row < x->rows; ++row) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < width; ++i) {
      x->at(row, i) += delta.at(row, i) + (bias ? bias[i] : 0);
      mean += x->at(row, i) / width;
    }
    for (int64_t i = 0; i < width; ++i) variance += std::pow(x->at(row, i) - mean, 2) / width;
    for (int64_t i = 0; i < width; ++i) {
      x->at(row, i) =
          (x->at(row, i) - mean) / std::sqrt(variance + epsilon) * gamma[i] + beta[i];
    }
  }
}

Matrix Times(const Matrix& x, const Matrix& kernel) {
  Matrix y(x.rows, kernel.columns);
  for (int64_t row = 0; row < x.rows; ++row) {
    for (int64_t d = 0; d < x.columns; ++d) {
      for (int64_t n = 0; n < y.columns; ++n) y.at(row, n) += x.at(row, d) * kernel.at(d, n);
    }
  }
  return y;
}

// Of one sequence.
Matrix Attended(const Matrix& qkv, const double* bias, int64_t heads) {
  const int64_t hidden = qkv.columns / 3, size = hidden / heads;
  Matrix context(qkv.rows, hidden);
  const auto at = [&](int64_t row, int64_t column) {
    return qkv.at(row, column) + bias[column];
  };
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < qkv.rows; ++i) {
      Doubles weights(qkv.rows);
      double most = -1e300, sum = 0;
      for (int64_t j = 0; j < qkv.rows; ++j) {
        for (int64_t d = head * size; d < (head + 1) * size; ++d) {
          weights[j] += at(i, d) * at(j, hidden + d) / std::sqrt(size);
        }
        most = std::max(most, weights[j]);
      }
      for (double& weight : weights) sum += weight = std::exp(weight - most);
      for (int64_t j = 0; j < qkv.rows; ++j) {
        for (int64_t d = head * size; d < (head + 1) * size; ++d) {
          context.at(i, d) += weights[j] / sum * at(j, 2 * hidden + d);
        }
      }
    }
  }
  return context;
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

struct Sequence {
  std::vector<int32_t> ids, segments;
};

Matrix Expected(const Model& m, const Sequence& sequence) {
  const int64_t count = sequence.ids.size(), hidden = m.sizes.hidden;
  const double epsilon = m.sizes.epsilon;
  Matrix x(count, hidden), delta(count, hidden);
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t i = 0; i < hidden; ++i) {
      x.at(row, i) = m.words.at(sequence.ids[row], i);
      delta.at(row, i) = m.positions.at(row, i) + m.types.at(sequence.segments[row], i);
    }
  }
  AddAndNormalise(&x, delta, nullptr, &m.norm.values[0], &m.norm.values[hidden], epsilon);
  for (int64_t layer = 0; layer < m.sizes.layers; ++layer) {
    const auto vector = [&](int i) {
      return &m.vectors[i].values[layer * m.vectors[i].columns];
    };
    const Matrix context =
        Attended(Times(x, m.qkv.layers[layer]), vector(0), m.sizes.heads);
    AddAndNormalise(&x, Times(context, m.attention_output.layers[layer]), vector(1),
                    vector(2), vector(3), epsilon);
    Matrix wide = Times(x, m.inner.layers[layer]);
    for (int64_t i = 0; i < static_cast<int64_t>(wide.values.size()); ++i) {
      wide.values[i] = Activated(m.sizes.activation,
                                 wide.values[i] + vector(4)[i % m.sizes.inner]);
    }
    AddAndNormalise(&x, Times(wide, m.output.layers[layer]), vector(5), vector(6), vector(7),
                    epsilon);
  }
  return x;
}

std::vector<Sequence> Draw(const std::vector<int64_t>& lengths) {
  std::vector<Sequence> sequences;
  for (int64_t length : lengths) {
    Sequence sequence;
    for (int64_t i = 0; i < length; ++i) {
      sequence.ids.push_back(random_bits() % 11);
      sequence.segments.push_back(random_bits() % 2);
    }
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

// The states that the kernel finds on so many threads, the last token first.
std::vector<float> Found(const Model& m, const std::vector<Sequence>& sequences,
                         const TransformerKernel& kernel, int64_t threads) {
  std::vector<int32_t> splits = {0}, ids, positions, segments;
  for (const Sequence& sequence : sequences) {
    for (size_t i = 0; i < sequence.ids.size(); ++i) positions.push_back(i);
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    segments.insert(segments.end(), sequence.segments.begin(), sequence.segments.end());
    splits.push_back(ids.size());
  }
  std::vector<int64_t> places;
  for (size_t i = ids.size(); i-- > 0;) places.push_back(i);
  std::vector<float> states(ids.size() * m.sizes.hidden);
  std::vector<std::vector<float>> kept;  // the vectors and tables
  const auto keep = [&](const Doubles& values) {
    kept.push_back(Floats(values));
    return kept.back().data();
  };
  const float *words = keep(m.words.values), *places_of = keep(m.positions.values),
              *types = keep(m.types.values), *norm = keep(m.norm.values);
  const float* v[8];
  for (int i = 0; i < 8; ++i) v[i] = keep(m.vectors[i].values);
  const BertWeights weights{words, places_of, types, norm, norm + m.sizes.hidden,
                            m.qkv.packed(), m.attention_output.packed(), m.inner.packed(),
                            m.output.packed(), v[0], v[1], v[2], v[3], v[4], v[5], v[6],
                            v[7]};
  const BertRows rows{static_cast<int64_t>(sequences.size()), splits.data(), ids.data(),
                      positions.data(), segments.data(), places.data(), states.data()};
  std::vector<std::thread> helpers;
  Compute(m.sizes, weights, rows, kernel, threads,
          [&](std::function<void()> help) { helpers.emplace_back(std::move(help)); });
  for (std::thread& helper : helpers) helper.join();
  return states;
}

void TestModel(const BertSizes& sizes, bool rounded, const std::vector<int64_t>& lengths,
               const std::string& name) {
  const Model model(sizes, rounded);
  const std::vector<Sequence> sequences = Draw(lengths);
  Doubles wanted;
  for (const Sequence& sequence : sequences) {
    const Matrix states = Expected(model, sequence);
    wanted.insert(wanted.begin(), states.values.begin(), states.values.end());
  }
  Doubles in_order(wanted.size());  // the last token is first
  const int64_t hidden = sizes.hidden;
  for (size_t s = 0, end = wanted.size(); s < sequences.size(); ++s) {
    const int64_t size = sequences[s].ids.size() * hidden;
    end -= size;
    for (int64_t i = 0; i < size; ++i) {
      const int64_t row = size / hidden - 1 - i / hidden;
      in_order[end + row * hidden + i % hidden] = wanted[end + i];
    }
  }
  for (const TransformerKernel& kernel : TransformerKernels()) {
    const std::string which = name + " by " + kernel.name;
    const std::vector<float> alone = Found(model, sequences, kernel, 1);
    ExpectNear(which, Wide(alone), in_order, rounded ? 2e-3 : 1e-4);
    for (int64_t threads : {2, 5}) {
      if (Found(model, sequences, kernel, threads) == alone) continue;
      std::printf("%s: %d threads change the result\n", which.c_str(),
                  static_cast<int>(threads));
      ++failures;
    }
  }
}

// A row of next to nothing is rounded to nothing, and not to what is not a number.
void TestTinyRows() {
  for (const TransformerKernel& kernel : TransformerKernels()) {
    const std::vector<float> rows = {0, 0, 0, 1e-40f, -3e-39f, 0, 2, -1, .5f};
    std::vector<int16_t> rounded(12, 7);
    std::vector<float> scales(3);
    kernel.round({3, 1000, rows.data(), rounded.data(), scales.data()}, 0, 3);
    if (rounded == std::vector<int16_t>{0, 0, 0, 0, 0, 0, 0, 0, 1000, -500, 250, 0}) continue;
    std::printf("%s rounds tiny rows otherwise\n", kernel.name);
    ++failures;
  }
}

void TestAll() {
  TestTinyRows();
  for (bool rounded : {false, true}) {
    const std::string name = rounded ? "int8" : "float32";
    const BertSizes small{2, 32, 64, 2, Activation::kGelu, 1e-12f};
    TestModel(small, rounded, {}, name + " of nothing");
    TestModel(small, rounded, {0, 0}, name + " of empty sequences");
    TestModel(small, rounded, {1}, name + " of a token");
    TestModel(small, rounded, {12}, name + " of a question");
    TestModel(small, rounded, {5, 0, 37, 1}, name + " of some");
    TestModel(small, rounded, {257}, name + " of a long one");
    TestModel(small, rounded, std::vector<int64_t>(60, 70), name + " of many");
    TestModel({1, 10, 7, 2, Activation::kRelu, 1e-6f}, rounded, {9, 2},
              name + " of odd sizes");
    TestModel({1, 15, 33, 3, Activation::kGeluTanh, 1e-6f}, rounded, {3, 20},
              name + " of odd hidden states");
    TestModel({1, 128, 512, 2, Activation::kGelu, 1e-12f}, rounded, {7, 30},
              name + " of 128");
    TestModel({1, 768, 3072, 12, Activation::kGelu, 1e-12f}, rounded, {5}, name + " of 768");
  }
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::TransformerKernels(), realm::TestAll);
}
