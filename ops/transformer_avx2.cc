// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "transformer_attention.h"
#include "transformer_rows.h"

namespace realm {

const TransformerKernel kAvx2Transformer = {
    "avx2",
    ResidualNormRows,
    ResidualNormRowsGrad,
    BiasActivationRows,
    BiasActivationRowsGrad,
    AttendHeads<FloatProducts>,
    AttendHeadsGrad<FloatProducts>,
    UpdateByAdamW,
    AttentionScratch,
};

}  // namespace realm
