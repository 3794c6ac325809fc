// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/scan_few.h"

namespace realm {

const Scanner kAvx2Scanner = {
    /*rounds=*/false, kFloatStrips, /*enter=*/nullptr, /*leave=*/nullptr,
    FloatLoad,        FloatScan,    FewScore,           FewScoreCodes,
    FewFilter,        FloatDot,
};

}  // namespace realm
