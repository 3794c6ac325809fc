// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// How fast a whole BERT is, without TensorFlow: of MiniLM-L6's size, with random weights.
//
//   bert_benchmark float32|int8 THREADS SEQUENCES TOKENS SECONDS
//
// computes so many sequences of so many tokens again and again for so long, by the kernel that
// REALM_TRANSFORMER_KERNEL names, and prints a line of JSON: the seconds of each time, and what
// the products with weights alone would take from the threads' caches.

#include "ops/transformer/bert.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <queue>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace realm {
namespace {

constexpr BertSizes kSizes{6, 384, 1536, 12, Activation::kGelu, 1e-12f};
constexpr int64_t kWords = 1000, kPositions = 512;

double Now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Threads that wait for work, as TensorFlow's do.
class Pool {
 public:
  explicit Pool(int64_t threads) {
    for (int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
  }
  ~Pool() {
    for (size_t i = 0; i < threads_.size(); ++i) Add(nullptr);
    for (std::thread& thread : threads_) thread.join();
  }
  void Add(std::function<void()> work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_.push(std::move(work));
    added_.notify_one();
  }

 private:
  void Work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      added_.wait(lock, [this] { return !work_.empty(); });
      const std::function<void()> work = std::move(work_.front());
      work_.pop();
      lock.unlock();
      if (work == nullptr) return;
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::queue<std::function<void()>> work_;
  std::vector<std::thread> threads_;
};

struct Model {
  std::mt19937 bits;
  std::vector<std::vector<float>> floats;
  std::vector<std::vector<int8_t>> bytes;

  const float* Vector(int64_t count, float spread, float center = 0) {
    std::uniform_real_distribution<float> values(center - spread, center + spread);
    floats.emplace_back(count);
    for (float& value : floats.back()) value = values(bits);
    return floats.back().data();
  }
  PackedKernels Kernels(int64_t depth, int64_t width, bool rounded) {
    const int64_t count = kSizes.layers * depth * width;
    if (!rounded) return {Vector(count, .04f), nullptr};
    bytes.emplace_back(count);
    for (int8_t& value : bytes.back()) value = static_cast<int>(bits() % 255) - 127;
    return {bytes.back().data(), Vector(kSizes.layers * width, 1e-5f, 3e-4f)};
  }
  BertWeights Weights(bool rounded) {
    const int64_t h = kSizes.hidden, f = kSizes.inner, l = kSizes.layers;
    return {Vector(kWords * h, 1), Vector(kPositions * h, 1), Vector(2 * h, 1),
            Vector(h, .1f, 1), Vector(h, .1f),
            Kernels(h, 3 * h, rounded), Kernels(h, h, rounded), Kernels(h, f, rounded),
            Kernels(f, h, rounded),
            Vector(l * 3 * h, .1f), Vector(l * h, .1f), Vector(l * h, .1f, 1),
            Vector(l * h, .1f), Vector(l * f, .1f), Vector(l * h, .1f), Vector(l * h, .1f, 1),
            Vector(l * h, .1f)};
  }
};

// Multiplications a second of one thread that finds 96 rows and four panels in its cache.
double ProductsPerSecond(const BertWeights& weights, const TransformerKernel& kernel) {
  constexpr int64_t kRows = 96, kColumns = 64;
  const std::vector<float> x(kRows * kSizes.hidden, .5f), scales(kRows, 1e-3f);
  const std::vector<int16_t> rounded(kRows * kSizes.hidden, 1000);
  std::vector<float> y(kRows * kColumns);
  const PackedProduct product{kSizes.hidden, kColumns, weights.qkv.kernel, weights.qkv.scales,
                              nullptr, kSizes.activation, x.data(),
                              weights.qkv.scales ? rounded.data() : nullptr, scales.data(),
                              y.data()};
  double least = 1e300;
  for (int i = 0; i < 300; ++i) {
    const double begun = Now();
    kernel.multiply(product, {0, kRows, 0, Panels(kColumns)});
    least = std::min(least, Now() - begun);
  }
  return kRows * kSizes.hidden * kColumns / least;
}

int Measure(bool rounded, int64_t threads, int64_t sequences, int64_t tokens, double limit) {
  std::string problem;
  const TransformerKernel* kernel = ChosenTransformerKernel(&problem);
  if (kernel == nullptr) return std::fprintf(stderr, "%s\n", problem.c_str()), 2;
  Model model;
  const BertWeights weights = model.Weights(rounded);
  const int64_t count = sequences * tokens;
  std::vector<int32_t> splits, ids, positions, segments(count);
  std::vector<int64_t> places;
  for (int64_t s = 0; s <= sequences; ++s) splits.push_back(s * tokens);
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(model.bits() % kWords);
    positions.push_back(i % tokens);
    places.push_back(i);
  }
  std::vector<float> states(count * kSizes.hidden);
  const BertRows rows{sequences, splits.data(), ids.data(), positions.data(), segments.data(),
                      places.data(), states.data()};
  Pool pool(threads - 1);
  const auto start = [&](std::function<void()> help) { pool.Add(std::move(help)); };
  const double products = 1. * count * kSizes.layers * kSizes.hidden *
                          (4 * kSizes.hidden + 2 * kSizes.inner);
  std::printf("{\"kernel\": \"%s\", \"products_seconds\": %.6g, \"seconds\": [", kernel->name,
              products / threads / ProductsPerSecond(weights, *kernel));
  BertRows one = rows;  // sequence, to warm up
  one.sequences = 1;
  Compute(kSizes, weights, one, *kernel, threads, start);
  const double begun = Now();
  for (int i = 0; i == 0 || Now() - begun < limit; ++i) {
    const double before = Now();
    Compute(kSizes, weights, rows, *kernel, threads, start);
    std::printf("%s%.6g", i > 0 ? ", " : "", Now() - before);
  }
  std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  const std::string precision = argc > 1 ? argv[1] : "";
  if (argc != 6 || (precision != "float32" && precision != "int8")) {
    std::fprintf(stderr, "%s float32|int8 THREADS SEQUENCES TOKENS SECONDS\n", argv[0]);
    return 2;
  }
  return realm::Measure(precision == "int8", std::atoll(argv[2]), std::atoll(argv[3]),
                        std::atoll(argv[4]), std::atof(argv[5]));
}
