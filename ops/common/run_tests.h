// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What the programs that test our kernels have in common.

#ifndef REALM_OPS_COMMON_RUN_TESTS_H_
#define REALM_OPS_COMMON_RUN_TESTS_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace realm {

inline int failures = 0;
inline std::mt19937_64 random_bits;

// Runs `tests`, which count `failures` and print them, and returns main's exit code. The
// seed is printed; an argument sets it.
template <typename Kernels, typename Tests>
int RunTests(int argc, char** argv, const Kernels& kernels, const Tests& tests) {
  const uint64_t seed =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device()();
  std::printf("%s: seed %llu; kernels:", argv[0], static_cast<unsigned long long>(seed));
  for (const auto& kernel : kernels) std::printf(" %s", kernel.name);
  std::printf("\n");
  random_bits.seed(seed);
  tests();
  if (failures > 0) {
    std::printf("%d failures; run again with seed %llu\n", failures,
                static_cast<unsigned long long>(seed));
    return 1;
  }
  std::printf("passed\n");
  return 0;
}

}  // namespace realm

#endif  // REALM_OPS_COMMON_RUN_TESTS_H_
