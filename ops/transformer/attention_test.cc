// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ops/transformer/expect_near.h"

namespace realm {
namespace {

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

void TestSequences(const TransformerKernel& kernel, Row row, double most,
                   const std::string& name) {
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
    TestAttention(kernel, row, splits, 1, 32, 6, row == Row::kFloat32 ? 1e-3 : .5,
                  which + " peaked");
  }
}

void TestAll() {
  for (const TransformerKernel& kernel : TransformerKernels()) {
    TestSequences(kernel, Row::kFloat32, 2e-5, std::string(kernel.name) + " float32");
    TestSequences(kernel, Row::kBfloat16, 2e-2, std::string(kernel.name) + " bfloat16");
  }
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::TransformerKernels(), realm::TestAll);
}
