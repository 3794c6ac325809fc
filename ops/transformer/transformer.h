// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What training a transformer does besides its products with weights (Vaswani et al.
// 2017; Devlin et al. 2019), forward, backward and update, on packed rows: the tokens of
// all sequences after each other, none of them padding. Each function reads and writes
// memory once. And the scores of spans, on padded ones.
//
// Shape letters: N tokens of all sequences, B sequences, A heads, H hidden, F width of a
// row. Rows are float32 or bfloat16 (as uint16_t); arithmetic is in float32, but for the
// products of attention, which multiply bfloat16 where the rows are so and the processor
// has tiles for it. Results do not depend on the number of threads: what is summed over
// tokens is summed in parts of a fixed size, in order.

#ifndef REALM_OPS_TRANSFORMER_TRANSFORMER_H_
#define REALM_OPS_TRANSFORMER_TRANSFORMER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace realm {

using ParallelTasks =
    std::function<void(int64_t tasks, const std::function<void(int64_t)>& task)>;

enum class Row { kFloat32, kBfloat16 };
enum class Activation { kGelu, kGeluTanh, kRelu };

// y = norm(x + delta + bias) gamma + beta over each row of F.
struct ResidualNorm {
  Row row;
  int64_t count, width;      // N, F
  const void *x, *delta;     // [N, F]
  const float *bias, *gamma, *beta;  // [F]
  float epsilon;
  void* y;                   // [N, F]
  float* mean;               // [N]
  float* scale;              // [N]: 1 / sqrt(variance + epsilon)
};

// From dy to the gradient of the sum (of x and of delta alike), and those of [F].
struct ResidualNormGrad {
  Row row;
  int64_t count, width;
  const void *x, *delta;
  const float *bias, *gamma, *mean, *scale;
  const void* dy;
  void* dsum;                        // [N, F]
  float *dbias, *dgamma, *dbeta;     // [F]
};

// y = activation(x + bias).
struct BiasActivation {
  Row row;
  Activation activation;
  int64_t count, width;
  const void* x;      // [N, F]
  const float* bias;  // [F]
  void* y;            // [N, F]; may be x
};

// y is computed again, so that it need not be kept for a product that follows.
struct BiasActivationGrad {
  Row row;
  Activation activation;
  int64_t count, width;
  const void* x;
  const float* bias;
  const void* dy;
  void* dx;      // [N, F]; may be dy
  void* y;       // [N, F]
  float* dbias;  // [F]
};

// Multi-head self-attention of each sequence: softmax(Q K' / sqrt(H / A)) V.
struct Attention {
  Row row;
  int64_t sequences, heads, hidden;  // B, A, H
  const int32_t* splits;  // [B + 1]: where each sequence begins
  const void* qkv;        // [N, 3 H]: queries, keys, values, each head by head
  const float* bias;      // [3 H], added to qkv
  void* context;          // [N, H]
  float* log_sums;        // [N, A]: log sum exp of the scores of each token
};

struct AttentionGrad {
  Row row;
  int64_t sequences, heads, hidden;
  const int32_t* splits;
  const void* qkv;
  const float* bias;
  const void* context;
  const float* log_sums;
  const void* dcontext;  // [N, H]
  void* dqkv;            // [N, 3 H]
  float* dbias;          // [3 H]
};

// The scores of spans of up to `spans` tokens (Lee et al. 2019, section 3.2), of sequences
// that are padded, P of T tokens. With x = relu(start + end) of F:
//   norm(x)' weight + constant
struct SpanScores {
  int64_t sequences, length, width, spans;  // P, T, F, L
  const float* projected;  // [P, T, 2 F]: of each token as a start, and as an end
  const bool* allowed;     // [P, T]
  const float* weight;     // [F]: gamma of the norm times the kernel of the score
  float constant, epsilon;
  float* scores;  // [P, T, L]; minus infinity where an end is beyond, or not allowed
};

struct SpanScoresGrad {
  SpanScores of;  // but for its scores
  const float* dscores;  // [P, T, L]; where a score is minus infinity it is not read
  float* dprojected;     // [P, T, 2 F]
  float *dweight, *dconstant;  // [F], and one
};

// An update of AdamW (Loshchilov & Hutter 2019) with g = scale grad:
//   m += (g - m) (1 - beta1),  v += (g g - v) (1 - beta2)
//   value = value (1 - decay) - rate m / (sqrt(v) + epsilon)
struct AdamW {
  int64_t count;
  const float* grad;
  float scale, beta1, beta2, epsilon, decay;
  float rate;  // with its correction for the bias of m and v
  float *value, *m, *v;
};

struct PackedProduct;  // see bert.h
struct Part;
struct RowsToRound;

// What one instruction set offers: parts of the work above. Sums over tokens go to
// `sums`, one after the other: dbias, dgamma, dbeta; dweight, dconstant.
struct TransformerKernel {
  const char* name;
  void (*residual_norm)(const ResidualNorm&, int64_t begin, int64_t end);
  void (*residual_norm_grad)(const ResidualNormGrad&, int64_t begin, int64_t end,
                             float* sums);
  void (*bias_activation)(const BiasActivation&, int64_t begin, int64_t end);
  void (*bias_activation_grad)(const BiasActivationGrad&, int64_t begin, int64_t end,
                               float* sums);
  // The heads [begin, end) of one sequence, which fits in cache. `scratch` has
  // `attention_scratch(T, H / A, heads)` bytes, on a boundary of 64.
  void (*attention)(const Attention&, int64_t sequence, int64_t begin, int64_t end,
                    void* scratch);
  void (*attention_grad)(const AttentionGrad&, int64_t sequence, int64_t begin, int64_t end,
                         void* scratch, float* sums);
  void (*score_spans)(const SpanScores&, int64_t begin, int64_t end);  // of all tokens
  void (*score_spans_grad)(const SpanScoresGrad&, int64_t begin, int64_t end,
                           float* sums);  // of the sequences
  void (*adamw)(const AdamW&, int64_t begin, int64_t end);
  int64_t (*attention_scratch)(int64_t length, int64_t size, int64_t heads);
  void (*multiply)(const PackedProduct&, const Part&);
  void (*round)(const RowsToRound&, int64_t begin, int64_t end);
};

// The kernels that this processor has, the fastest first; the last is "portable".
const std::vector<TransformerKernel>& TransformerKernels();

// The first of them, or the one that REALM_TRANSFORMER_KERNEL names. Null if it names none:
// `problem` then says so.
const TransformerKernel* ChosenTransformerKernel(std::string* problem);

void Compute(const ResidualNorm&, const TransformerKernel&, const ParallelTasks&);
void Compute(const ResidualNormGrad&, const TransformerKernel&, const ParallelTasks&);
void Compute(const BiasActivation&, const TransformerKernel&, const ParallelTasks&);
void Compute(const BiasActivationGrad&, const TransformerKernel&, const ParallelTasks&);
void Compute(const Attention&, const TransformerKernel&, const ParallelTasks&);
void Compute(const AttentionGrad&, const TransformerKernel&, const ParallelTasks&);
void Compute(const SpanScores&, const TransformerKernel&, const ParallelTasks&);
void Compute(const SpanScoresGrad&, const TransformerKernel&, const ParallelTasks&);
void Compute(const AdamW&, const TransformerKernel&, const ParallelTasks&);

extern const TransformerKernel kPortableTransformer;
#if defined(__x86_64__)
extern const TransformerKernel kAvx2Transformer, kAvx512Transformer, kAvx512VnniTransformer,
    kAmxTransformer;
#endif

}  // namespace realm

#endif  // REALM_OPS_TRANSFORMER_TRANSFORMER_H_
