// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// How our kernels lay out the tiles of AMX: all eight are 16 rows of 64 bytes. Included by
// sources that are compiled for it.

#ifndef REALM_OPS_COMMON_AMX_TILES_H_
#define REALM_OPS_COMMON_AMX_TILES_H_

#include <immintrin.h>

#include <cstdint>

namespace realm {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Static, as compilers take the intrinsic to read but the first eight bytes.
constexpr TileConfig kTileConfig;

inline void EnterTiles() { _tile_loadconfig(&kTileConfig); }
inline void LeaveTiles() { _tile_release(); }

}  // namespace
}  // namespace realm

#endif  // REALM_OPS_COMMON_AMX_TILES_H_
