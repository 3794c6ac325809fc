// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Which kernel comes first. Times are given, so every processor can test all of it.

#include "ops/top_k/kernels.h"

#include <cstdio>
#include <string>

#include "ops/common/run_tests.h"

namespace realm {
namespace {

#if defined(__x86_64__)

void Expect(const std::string& what, const CpuFeatures& has, double bfloat16, double floats,
            const std::string& expected, int measured) {
  int calls = 0;
  std::string names;
  for (const Kernel& kernel : KernelsFor(has, [&](const Kernel& timed) {
         ++calls;
         return timed.rounding != nullptr ? bfloat16 : floats;
       })) {
    names += std::string(kernel.name) + (kernel.rounding ? "* " : " ");
  }
  if (names == expected && calls == measured) return;
  ++failures;
  std::printf("FAILED %s: %d measured, kernels %s; expected %d, %s\n", what.c_str(), calls,
              names.c_str(), measured, expected.c_str());
}

void TestAll() {
  CpuFeatures has;
  Expect("nothing", has, 1, 2, "portable ", 0);
  has.avx2 = has.avx512 = true;
  Expect("no bfloat16", has, 1, 2, "avx512 avx2 portable ", 0);
  has.avx512_bf16 = true;
  Expect("fast bfloat16", has, 1, 2, "avx512_bf16* avx512 avx2 portable ", 2);
  Expect("slow bfloat16", has, 2, 1, "avx512 avx512_bf16* avx2 portable ", 2);
  has.amx_bf16 = true;
  Expect("tiles", has, 2, 1, "amx* avx512_bf16* avx512 avx2 portable ", 0);
  if (!(SecondsOfSearch(AvailableKernels().back()) > 0)) {
    ++failures;
    std::printf("FAILED a search took no time\n");
  }
}

#else

void TestAll() {}

#endif

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, realm::AvailableKernels(), realm::TestAll);
}
