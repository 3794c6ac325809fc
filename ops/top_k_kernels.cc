// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Which kernels this CPU can run, and with which this system lets it.

#include "top_k_inner_product.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace realm {
namespace {

#if defined(__x86_64__)

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

// Linux keeps the tiles' large state from a process until it asks for it.
bool TilesPermitted() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

struct Extensions {
  bool bfloat16, tiles;
};

Extensions FindExtensions() {
  unsigned a, b, c, d;
  if (!HasAvx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
  const bool tiles = (d >> 24 & 1) && (d >> 22 & 1);  // AMX-TILE, AMX-BF16
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return {};
  const bool bfloat16 = a >> 5 & 1;  // AVX512_BF16
  return {bfloat16, bfloat16 && tiles && TilesPermitted()};
}

#endif

std::vector<Kernel> FindKernels() {
  std::vector<Kernel> kernels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const Extensions has = FindExtensions();
  if (has.tiles) kernels.push_back({"amx", &kAmxScanner, &kAvx512Scanner});
  if (has.bfloat16) {
    kernels.push_back({"avx512_bf16", &kAvx512Bf16Scanner, &kAvx512Scanner});
  }
  if (HasAvx512()) kernels.push_back({"avx512", nullptr, &kAvx512Scanner});
  if (HasAvx2()) kernels.push_back({"avx2", nullptr, &kAvx2Scanner});
#endif
  kernels.push_back({"portable", nullptr, &kPortableScanner});
  return kernels;
}

}  // namespace

const std::vector<Kernel>& AvailableKernels() {
  static const std::vector<Kernel>* const kernels =
      new std::vector<Kernel>(FindKernels());
  return *kernels;
}

}  // namespace realm
