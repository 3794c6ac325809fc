// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A whole BERT by plain loops in double precision, which its test compares with.

#ifndef REALM_OPS_TRANSFORMER_BERT_BY_LOOPS_H_
#define REALM_OPS_TRANSFORMER_BERT_BY_LOOPS_H_

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ops/transformer/bert.h"
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

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_BERT_BY_LOOPS_H_
