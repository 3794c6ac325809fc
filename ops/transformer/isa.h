// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// All that one source per instruction set is made of.

#ifndef REALM_OPS_TRANSFORMER_ISA_H_
#define REALM_OPS_TRANSFORMER_ISA_H_

#include "ops/transformer/attention.h"
#include "ops/transformer/attention_grad.h"
#include "ops/transformer/float_products.h"
#include "ops/transformer/packed_products.h"
#include "ops/transformer/rows.h"
#include "ops/transformer/span_rows.h"

namespace realm {
namespace {

// An upper bound of what both take of an Arena for that many heads.
inline int64_t AttentionScratch(int64_t length, int64_t size, int64_t heads) {
  const Sizes s(length, size);
  return 4 * ((12 + 4 * heads) * s.rows() + s.padded * s.padded + 5 * kBlock * s.padded +
              2 * s.padded) + 32 * 64;
}

template <typename Products>
constexpr TransformerKernel KernelBy(const char* name) {
  return {name,
          ResidualNormRows,
          ResidualNormRowsGrad,
          BiasActivationRows,
          BiasActivationRowsGrad,
          AttendHeads<Products>,
          AttendHeadsGrad<Products>,
          ScoreSpans,
          ScoreSpansGrad,
          UpdateByAdamW,
          AttentionScratch,
          MultiplyPacked,
          RoundRows};
}

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_ISA_H_
