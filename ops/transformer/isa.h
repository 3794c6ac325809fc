// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// All that one source per instruction set is made of.

#ifndef REALM_OPS_TRANSFORMER_ISA_H_
#define REALM_OPS_TRANSFORMER_ISA_H_

#include "ops/transformer/attention.h"
#include "ops/transformer/rows.h"

namespace realm {
namespace {

template <typename Products>
constexpr TransformerKernel KernelBy(const char* name) {
  return {name,
          ResidualNormRows,
          ResidualNormRowsGrad,
          BiasActivationRows,
          BiasActivationRowsGrad,
          AttendHeads<Products>,
          AttendHeadsGrad<Products>,
          UpdateByAdamW,
          AttentionScratch};
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_ISA_H_
