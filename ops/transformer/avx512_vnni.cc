// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/transformer/isa.h"

namespace realm {

const TransformerKernel kAvx512VnniTransformer = KernelBy<FloatProducts>("avx512_vnni");

}  // namespace realm
