// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A shadow of a table: its rows in eight bits, for scans by few queries, which
// cost what reading costs. Row r is stored as codes c and a scale, with a proven
// bound on what that loses: |r - scale c| <= error.
//
// WHY A SCAN OF THE SHADOW LOSES NOTHING. The query is coded too, in sixteen
// bits, q = unit p + f, and |f| is measured. The codes' product p.c is an exact
// integer, and s' = scale unit (p.c). Then with r = scale c + e
//
//     s - s' = q.e + f.(scale c)
//     |s - s'| <= |q| error + |f| scale |c|,  |c| <= 127 sqrt(D),
//
// and the float arithmetic of s' adds at most 2^-22 |s'| <= 2^-22 unit |p| scale |c|.
// So with slopes of the query's own, |s - s'| <= error_slope * error + scale_slope
// * scale, which takes the place of slope * reach in inner_product.h. Scale
// and unit are zero or within 2^-40 and 2^40, so nothing over- or underflows; rows
// and queries that would need others have an infinite error or slope: each of
// their pairs is scored.

#ifndef REALM_OPS_TOP_K_SHADOW_H_
#define REALM_OPS_TOP_K_SHADOW_H_

#include <cstdint>

#include "ops/top_k/inner_product.h"

namespace realm {

// Codes per row: `depth`, padded with zeros.
constexpr int64_t ShadowStride(int64_t depth) {
  return (depth + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
}

// Fills codes [rows, ShadowStride(depth)] and bounds [2, rows]: scales, errors.
void MakeShadow(const void* table, Element element, int64_t rows, int64_t depth,
                const ParallelFor& parallel_for, int8_t* codes, float* bounds);

// A query in codes; infinite slopes where it cannot be coded.
struct QueryCodes {
  float unit;
  float error_slope;
  float scale_slope;
};

// Fills codes [ShadowStride(depth)].
QueryCodes EncodeQuery(const float* query, int64_t depth, int16_t* codes);

}  // namespace realm

#endif  // REALM_OPS_TOP_K_SHADOW_H_
