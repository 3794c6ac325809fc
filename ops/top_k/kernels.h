// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Which kernels a CPU can run, and which of two is the faster one.

#ifndef REALM_OPS_TOP_K_KERNELS_H_
#define REALM_OPS_TOP_K_KERNELS_H_

#include <functional>
#include <vector>

#include "ops/common/cpu_features.h"
#include "ops/top_k/inner_product.h"

namespace realm {

// How many seconds a kernel takes for some search.
using Stopwatch = std::function<double(const Kernel&)>;

// The kernels for a CPU that has these features, best first. Where there are no tiles it is
// measured whether the CPU's bfloat16 products are any faster than its float ones: on an AMD
// Zen 5 they are twice as fast, on an Intel with AMX a third slower.
std::vector<Kernel> KernelsFor(const CpuFeatures& has, const Stopwatch& seconds);

// Of a small search that multiplies, the least of some times.
double SecondsOfSearch(const Kernel& kernel);

}  // namespace realm

#endif  // REALM_OPS_TOP_K_KERNELS_H_
