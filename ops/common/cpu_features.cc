// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/common/cpu_features.h"

#include <cstdlib>

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

// Linux keeps the tiles' large state from a process until it asks for it.
bool TilesPermitted() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

CpuFeatures Find() {
  __builtin_cpu_init();
  CpuFeatures has;
  has.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  has.avx512 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  unsigned a, b, c, d;
  if (!has.avx512 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return has;
  has.avx512_vnni = c >> 11 & 1;
  const bool tiles = (d >> 24 & 1) && (d >> 22 & 1);  // AMX-TILE, AMX-BF16
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return has;
  has.avx512_bf16 = a >> 5 & 1;
  has.amx_bf16 = has.avx512_bf16 && has.avx512_vnni && tiles && TilesPermitted();
  return has;
}

#else

CpuFeatures Find() { return {}; }

#endif

}  // namespace

const CpuFeatures& Cpu() {
  static const CpuFeatures features = Find();
  return features;
}

std::string EnvironmentValue(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

}  // namespace realm
