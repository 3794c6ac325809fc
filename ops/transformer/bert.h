// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A whole BERT (Devlin et al. 2019) at once, forward only: from token ids to states, on
// packed rows, by weights that were packed once. See packed_products.h for how these lie.
//
// Shape letters: N tokens of all sequences, L layers, H hidden, F width between the two
// products of a feed-forward layer, P(n) panels of 16 columns that n columns take. Results do
// not depend on the number of threads.

#ifndef REALM_OPS_TRANSFORMER_BERT_H_
#define REALM_OPS_TRANSFORMER_BERT_H_

#include <cstdint>

#include "ops/common/team.h"
#include "ops/transformer/transformer.h"

namespace realm {

constexpr int64_t kPanel = 16;  // columns

inline int64_t Panels(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

// y = x kernel, or activation(x kernel + bias).
struct PackedProduct {
  int64_t depth, width;     // K, N
  const void* kernel;       // float32 panels; of rounded rows int8 ones
  const float* scales;      // [16 P(N)] of the columns of an int8 kernel
  const float* bias;        // [N], or null: then there is no activation
  Activation activation;
  const float* x;           // [rows, K]
  const int16_t* rounded;   // the same, K made even, or null
  const float* row_scales;  // [rows]
  float* y;                 // [rows, N]
};

// What one thread does of it.
struct Part {
  int64_t first_row, last_row, first_panel, last_panel;
};

struct RowsToRound {
  int64_t width;
  float most;           // whole numbers are at most so large
  const float* x;       // [rows, width]
  int16_t* rounded;     // [rows, width made even]
  float* row_scales;    // [rows]
};

struct BertSizes {
  int64_t layers, hidden, inner, heads;
  Activation activation;
  float epsilon;
};

// A kernel of each layer, packed, after each other; scales of int8 ones.
struct PackedKernels {
  const void* kernel;
  const float* scales;  // null: float32
};

struct BertWeights {
  const float *words, *positions, *types;  // [.., H] embeddings
  const float *gamma, *beta;               // [H], of their norm
  PackedKernels qkv, attention_output, inner, output;
  // [L, 3 H], [L, H] ..., and [L, F].
  const float *qkv_bias, *attention_bias, *attention_gamma, *attention_beta;
  const float *inner_bias, *output_bias, *output_gamma, *output_beta;
};

struct BertRows {
  int64_t sequences;
  const int32_t* splits;                      // [B + 1]
  const int32_t *ids, *positions, *segments;  // [N] each, within the tables
  const int64_t* places;                      // [N]: the row of `states` of each token
  float* states;
};

// On `threads`, this one and others that `start` starts.
void Compute(const BertSizes&, const BertWeights&, const BertRows&, const TransformerKernel&,
             int64_t threads, const Start& start);

}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_BERT_H_
