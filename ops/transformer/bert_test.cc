// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A whole BERT against plain loops in double precision.

#include <thread>
#include <vector>

#include "ops/transformer/bert_by_loops.h"

namespace realm {
namespace {

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
