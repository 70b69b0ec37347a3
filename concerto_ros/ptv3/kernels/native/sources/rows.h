// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The product of a few rows and a matrix, the heart of attention, convolution and linear layers.

#pragma once

#include <algorithm>
#include <type_traits>

#include "vectors.h"

// Rows whose sums are in registers, with up to three vectors of columns each, so that each number
// that is read is used several times.
constexpr int kTileRows = kRegisters / 4;

// Columns of a matrix that are packed at a time.
constexpr int64_t kPanel = 96;

// The number of panels of a matrix.
inline int64_t panels_of(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

// The number of columns that a panel has in memory.
inline int64_t panel_columns(int64_t columns) { return round_up(columns, kLanes); }

// Adds the products of `left(step, v)`, a vector, and `right(r, step)`, where a number or a pair
// lies, for as many steps, at least one. Sums stay in registers.
template <class P, int V, class Left, class Right>
[[gnu::always_inline]] inline void add_products(Floats (&sum)[kTileRows][V], int64_t steps,
                                                const Left& left, const Right& right) {
  int64_t step = 0;
  do {
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sum[r][v] = P::multiply_add(sum[r][v], left(step, v), right(r, step));
  } while (++step < steps);
}

// Adds the products of kTileRows rows and V vectors of columns of a packed panel to `start(r, v)`,
// and hands the sums to `finish(r, v, sum)`.
//
// rows: of `units` each, at least one; panel: (units, stride).
template <class P, int V, class Start, class Finish>
[[gnu::always_inline]] inline void multiply_tile(const typename P::Unit* const* rows,
                                                 int64_t units, const typename P::Unit* panel,
                                                 int64_t stride, const Start& start,
                                                 const Finish& finish) {
  using Vector = typename P::Vector;
  Floats sum[kTileRows][V];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = start(r, v);
  const auto columns = [&](int64_t u, int v) {
    return load<Vector>(panel + u * stride + v * kLanes);
  };
  add_products<P>(sum, units, columns, [&](int r, int64_t u) { return rows[r] + u; });
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) finish(r, v, sum[r][v]);
}

// Calls `tile(vectors, column)` for tiles of the same number of vectors that cover all columns.
template <class Tile>
inline void for_each_tile(int64_t columns, const Tile& tile) {
  const auto all_of = [&](auto vectors) {
    for (int64_t column = 0; column < columns; column += vectors * kLanes) tile(vectors, column);
  };
  const int64_t vectors = columns / kLanes;
  if (vectors % 3 == 0) return all_of(std::integral_constant<int, 3>{});
  if (vectors % 2 == 0) return all_of(std::integral_constant<int, 2>{});
  all_of(std::integral_constant<int, 1>{});
}
