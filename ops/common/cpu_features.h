// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What this CPU has, this system permits and our kernels are compiled for; and which
// of an op's kernels to run. Knows nothing of TensorFlow.

#ifndef REALM_OPS_COMMON_CPU_FEATURES_H_
#define REALM_OPS_COMMON_CPU_FEATURES_H_

#include <string>
#include <vector>

namespace realm {

struct CpuFeatures {
  bool avx2 = false;         // and FMA
  bool avx512 = false;       // F, BW, DQ and VL
  bool avx512_vnni = false;  // and all of avx512
  bool avx512_bf16 = false;  // and all of avx512
  bool amx_bf16 = false;     // and all of the others; this process may use the tiles
};

// Found out once, when first asked; all false where it is not an x86.
const CpuFeatures& Cpu();

// The first of `kernels`, which have a `name` and are best first, or the one that the
// environment variable names. Null if it names none of them: `problem` then says so.
template <typename Kernel>
const Kernel* ChooseKernel(const std::vector<Kernel>& kernels, const char* variable,
                           std::string* problem);

// The name of the kernel that `choose` chooses, or the problem that it reports: for callers
// in C. Valid until the thread's next call.
template <typename Kernel>
const char* NameOrProblem(const Kernel* choose(std::string* problem));

// The value of an environment variable; empty if it is not set.
std::string EnvironmentValue(const char* variable);

template <typename Kernel>
const Kernel* ChooseKernel(const std::vector<Kernel>& kernels, const char* variable,
                           std::string* problem) {
  const std::string wanted = EnvironmentValue(variable);
  if (wanted.empty()) return &kernels.front();
  std::string names;
  for (const Kernel& kernel : kernels) {
    if (wanted == kernel.name) return &kernel;
    names += (names.empty() ? "" : ", ") + std::string(kernel.name);
  }
  *problem = std::string(variable) + " is " + wanted +
             ", but the kernels that this CPU can run are " + names;
  return nullptr;
}

template <typename Kernel>
const char* NameOrProblem(const Kernel* choose(std::string* problem)) {
  thread_local std::string problem;
  const Kernel* kernel = choose(&problem);
  return kernel != nullptr ? kernel->name : problem.c_str();
}

}  // namespace realm

#endif  // REALM_OPS_COMMON_CPU_FEATURES_H_
