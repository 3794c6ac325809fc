// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Which kernels this CPU can run.

#include "ops/common/cpu_features.h"
#include "ops/top_k/inner_product.h"

namespace realm {
namespace {

std::vector<Kernel> FindKernels() {
  std::vector<Kernel> kernels;
#if defined(__x86_64__)
  const CpuFeatures& has = Cpu();
  if (has.amx_bf16) kernels.push_back({"amx", &kAmxScanner, &kAvx512Scanner});
  if (has.avx512_bf16) {
    kernels.push_back({"avx512_bf16", &kAvx512Bf16Scanner, &kAvx512Scanner});
  }
  if (has.avx512) kernels.push_back({"avx512", nullptr, &kAvx512Scanner});
  if (has.avx2) kernels.push_back({"avx2", nullptr, &kAvx2Scanner});
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

const Kernel* ChosenKernel(std::string* problem) {
  return ChooseKernel(AvailableKernels(), "REALM_TOP_K_KERNEL", problem);
}

}  // namespace realm

extern "C" const char* realm_top_k_kernel() {
  return realm::NameOrProblem(realm::ChosenKernel);
}
