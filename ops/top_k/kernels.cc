// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/kernels.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace realm {

std::vector<Kernel> KernelsFor(const CpuFeatures& has, const Stopwatch& seconds) {
  std::vector<Kernel> kernels;
#if defined(__x86_64__)
  Kernel bfloat16 = {"avx512_bf16", &kAvx512Bf16Scanner, &kAvx512Scanner};
  Kernel floats = {"avx512", nullptr, &kAvx512Scanner};
  if (has.amx_bf16) kernels.push_back({"amx", &kAmxScanner, &kAvx512Scanner});
  if (has.avx512_bf16) {
    if (!has.amx_bf16 && seconds(floats) < seconds(bfloat16)) std::swap(bfloat16, floats);
    kernels.push_back(bfloat16);
  }
  if (has.avx512) kernels.push_back(floats);
  if (has.avx2) kernels.push_back({"avx2", nullptr, &kAvx2Scanner});
#endif
  kernels.push_back({"portable", nullptr, &kPortableScanner});
  return kernels;
}

double SecondsOfSearch(const Kernel& kernel) {
  constexpr int64_t kRows = 2048, kDepth = 128, kQueries = 48, kK = 1;
  constexpr int kTimes = 5;
  std::vector<float> queries(kQueries * kDepth), scores(kQueries * kK);
  std::vector<uint16_t> table(kRows * kDepth);  // bfloat16
  std::vector<int32_t> rows(kQueries * kK);
  uint32_t draw = 1;
  const auto next = [&draw] { return draw = draw * 1664525u + 1013904223u; };
  for (float& value : queries) value = (next() >> 16) / 65536.f - .5f;
  for (uint16_t& value : table) value = 0x3f00 | (next() >> 31 << 15) | (next() >> 25);
  const BannedRows banned = BannedRows::From<int32_t>(nullptr, kQueries, 0, kRows);
  const TopKInput input = {queries.data(), table.data(), Element::kBfloat16, kQueries, kRows,
                           kDepth, kK, &banned};
  const ParallelFor alone = [](int64_t n, const std::function<void(int64_t)>& body) {
    for (int64_t i = 0; i < n; ++i) body(i);
  };
  double least = std::numeric_limits<double>::infinity();
  for (int time = 0; time < kTimes; ++time) {
    const auto begun = std::chrono::steady_clock::now();
    TopKInnerProduct(input, kernel, alone, 1, scores.data(), rows.data());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    least = std::min(least, took.count());
  }
  return least;
}

const std::vector<Kernel>& AvailableKernels() {
  static const std::vector<Kernel>* const kernels =
      new std::vector<Kernel>(KernelsFor(Cpu(), SecondsOfSearch));
  return *kernels;
}

const Kernel* ChosenKernel(std::string* problem) {
  return ChooseKernel(AvailableKernels(), "REALM_TOP_K_KERNEL", problem);
}

}  // namespace realm

extern "C" const char* realm_top_k_kernel() {
  return realm::NameOrProblem(realm::ChosenKernel);
}
