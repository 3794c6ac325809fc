// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace realm {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Outputs `rows` like input 0, and then vectors of its last dimension.
absl::Status LikeFirst(InferenceContext* c) {
  ShapeHandle rows;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &rows));
  c->set_output(0, rows);
  for (int i = 1; i < c->num_outputs(); ++i) {
    c->set_output(i, c->Vector(c->Dim(rows, 1)));
  }
  return absl::OkStatus();
}

absl::Status NormShape(InferenceContext* c) {
  ShapeHandle rows;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &rows));
  TF_RETURN_IF_ERROR(c->Merge(rows, c->input(1), &rows));
  c->set_output(0, rows);
  c->set_output(1, c->Vector(c->Dim(rows, 0)));
  c->set_output(2, c->Vector(c->Dim(rows, 0)));
  return absl::OkStatus();
}

absl::Status ActivationGradShape(InferenceContext* c) {
  ShapeHandle rows;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &rows));
  c->set_output(0, rows);
  c->set_output(1, rows);
  c->set_output(2, c->Vector(c->Dim(rows, 1)));
  return absl::OkStatus();
}

absl::Status AttentionShape(InferenceContext* c) {
  ShapeHandle qkv;
  DimensionHandle hidden;
  int heads;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &qkv));
  TF_RETURN_IF_ERROR(c->Divide(c->Dim(qkv, 1), 3, /*evenly_divisible=*/true, &hidden));
  TF_RETURN_IF_ERROR(c->GetAttr("heads", &heads));
  c->set_output(0, c->Matrix(c->Dim(qkv, 0), hidden));
  c->set_output(1, c->Matrix(c->Dim(qkv, 0), heads));
  return absl::OkStatus();
}

absl::Status SpanScoresShape(InferenceContext* c) {
  ShapeHandle projected;
  int spans;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &projected));
  TF_RETURN_IF_ERROR(c->GetAttr("spans", &spans));
  c->set_output(0, c->MakeShape({c->Dim(projected, 0), c->Dim(projected, 1), spans}));
  return absl::OkStatus();
}

absl::Status SpanScoresGradShape(InferenceContext* c) {
  for (int i = 0; i < 3; ++i) c->set_output(i, c->input(i == 0 ? 0 : i + 1));
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("Realm>ResidualNorm")
    .Input("x: T")
    .Input("delta: T")
    .Input("bias: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("scale: float")
    .Attr("epsilon: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(NormShape)
    .Doc(R"doc(
Layer normalisation (Ba et al. 2016) of a residual sum, over each row of F.

x, delta: [N, F].
bias, gamma, beta: [F].
y: [N, F], norm(x + delta + bias) gamma + beta.
mean, scale: [N], of each row; scale is 1 / sqrt(variance + epsilon).
)doc");

REGISTER_OP("Realm>ResidualNormGrad")
    .Input("x: T")
    .Input("delta: T")
    .Input("bias: float")
    .Input("gamma: float")
    .Input("mean: float")
    .Input("scale: float")
    .Input("dy: T")
    .Output("dsum: T")
    .Output("dbias: float")
    .Output("dgamma: float")
    .Output("dbeta: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(LikeFirst)
    .Doc("The gradient of Realm>ResidualNorm; dsum is that of x and of delta alike.");

REGISTER_OP("Realm>BiasActivation")
    .Input("x: T")
    .Input("bias: float")
    .Output("y: T")
    .Attr("activation: {'gelu', 'gelu_tanh', 'relu'}")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(LikeFirst)
    .Doc(R"doc(
An activation of x + bias.

x: [N, F].
bias: [F].
y: [N, F].
activation: gelu is x Phi(x), gelu_tanh its tanh form (Hendrycks & Gimpel 2016).
)doc");

REGISTER_OP("Realm>BiasActivationGrad")
    .Input("x: T")
    .Input("bias: float")
    .Input("dy: T")
    .Output("dx: T")
    .Output("y: T")
    .Output("dbias: float")
    .Attr("activation: {'gelu', 'gelu_tanh', 'relu'}")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(ActivationGradShape)
    .Doc("The gradient of Realm>BiasActivation, and its y again.");

REGISTER_OP("Realm>PackedAttention")
    .Input("qkv: T")
    .Input("bias: float")
    .Input("splits: int32")
    .Output("context: T")
    .Output("log_sums: float")
    .Attr("heads: int >= 1")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(AttentionShape)
    .Doc(R"doc(
Multi-head self-attention (Vaswani et al. 2017) within each of B packed sequences.

qkv: [N, 3 H], the queries, keys and values of N tokens, each head by head.
bias: [3 H], added to qkv.
splits: [B + 1], the row where each sequence begins; the last is N.
context: [N, H], softmax(Q K' / sqrt(H / heads)) V.
log_sums: [N, heads], log sum exp of the scores of each token.
)doc");

REGISTER_OP("Realm>PackedAttentionGrad")
    .Input("qkv: T")
    .Input("bias: float")
    .Input("splits: int32")
    .Input("context: T")
    .Input("log_sums: float")
    .Input("dcontext: T")
    .Output("dqkv: T")
    .Output("dbias: float")
    .Attr("heads: int >= 1")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(LikeFirst)
    .Doc("The gradient of Realm>PackedAttention.");

REGISTER_OP("Realm>SpanScores")
    .Input("projected: float")
    .Input("allowed: bool")
    .Input("weight: float")
    .Input("constant: float")
    .Output("scores: float")
    .Attr("spans: int >= 1")
    .Attr("epsilon: float")
    .SetShapeFn(SpanScoresShape)
    .Doc(R"doc(
The scores of spans of up to L = spans tokens (Lee et al. 2019, section 3.2):
norm(relu(start + end))' weight + constant, without a scale and a shift in the norm.

projected: [P, T, 2 F], of each token as a start, and as an end.
allowed: [P, T], the tokens that a span may begin and end with.
weight: [F]; constant: a scalar.
scores: [P, T, L], of the span from token t to t + l; minus infinity where there is none.
epsilon: of the norm.
)doc");

REGISTER_OP("Realm>SpanScoresGrad")
    .Input("projected: float")
    .Input("allowed: bool")
    .Input("weight: float")
    .Input("constant: float")
    .Input("dscores: float")
    .Output("dprojected: float")
    .Output("dweight: float")
    .Output("dconstant: float")
    .Attr("spans: int >= 1")
    .Attr("epsilon: float")
    .SetShapeFn(SpanScoresGradShape)
    .Doc("The gradient of Realm>SpanScores; of a span that there is not, nothing is read.");

REGISTER_OP("Realm>ResourceAdamW")
    .Input("value: resource")
    .Input("m: resource")
    .Input("v: resource")
    .Input("grad: float")
    .Input("rate: float")
    .Input("decay: float")
    .Input("scale: float")
    .Attr("beta1: float")
    .Attr("beta2: float")
    .Attr("epsilon: float")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs)
    .Doc(R"doc(
An update of AdamW (Loshchilov & Hutter 2019), with g = scale grad:

m += (g - m) (1 - beta1), v += (g g - v) (1 - beta2),
value = value (1 - decay) - rate m / (sqrt(v) + epsilon).

value, m, v: float variables of the shape of grad.
rate, decay, scale: scalars; the rate has its correction for the bias of m and v.
)doc");

}  // namespace realm
