// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The product of a few rows and a matrix, the heart of linear layers and convolution.

#pragma once

#include <algorithm>

#include "vectors.h"

// Rows whose sums are in registers, with up to three vectors of columns each, so that each number
// that is read is used several times.
constexpr int kTileRows = kRegisters / 4;

// Columns of a matrix that are packed at a time.
constexpr int64_t kPanel = 96;

// The number of columns that a panel has in memory.
inline int64_t panel_columns(int64_t columns) { return round_up(columns, kLanes); }

// Adds the products of kTileRows rows and V vectors of columns of a packed panel to their sums.
//
// rows: of `units` each, at least one; panel: (units, stride); sums: pointers to V vectors of each
// row.
template <class P, int V>
[[gnu::noinline]] void add_tile(const typename P::Unit* const* rows, int64_t units,
                                const typename P::Unit* panel, int64_t stride,
                                float* const* sums) {
  using Vector = typename P::Vector;
  Floats sum[kTileRows][V];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = load<Floats>(sums[r] + v * kLanes);
  int64_t u = 0;
  do {
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const Vector columns = load<Vector>(panel + u * stride + v * kLanes);
        sum[r][v] = P::multiply_add(sum[r][v], columns, rows[r] + u);
      }
  } while (++u < units);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(sums[r] + v * kLanes, sum[r][v]);
}

template <class P, int V>
inline void add_tiles(const typename P::Unit* const* rows, int64_t units,
                      const typename P::Unit* panel, int64_t columns, float* const* sums) {
  float* at[kTileRows];
  for (int64_t column = 0; column < columns; column += V * kLanes) {
    for (int r = 0; r < kTileRows; ++r) at[r] = sums[r] + column;
    add_tile<P, V>(rows, units, panel + column, columns, at);
  }
}

// Adds the products of kTileRows rows and all columns of a packed panel to their sums.
template <class P>
inline void add_rows(const typename P::Unit* const* rows, int64_t units,
                     const typename P::Unit* panel, int64_t columns, float* const* sums) {
  const int64_t vectors = columns / kLanes;
  if (vectors % 3 == 0) return add_tiles<P, 3>(rows, units, panel, columns, sums);
  if (vectors % 2 == 0) return add_tiles<P, 2>(rows, units, panel, columns, sums);
  add_tiles<P, 1>(rows, units, panel, columns, sums);
}
