// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// A linear layer, with a GELU where one follows.

#include <type_traits>

#include "parallel.h"
#include "rows.h"

namespace {

constexpr int64_t kBlock = 768;  // rows that one packed panel serves

struct Linear {
  const void* feat;    // (rows, in)
  const void* weight;  // (out, in)
  const void* bias;    // (out), or null
  void* result;        // (rows, out)
  int64_t rows, in, out;
  bool gelu;
};

// T: of the features; they are converted to the precision P of the weights.
template <class P, class T>
class Worker {
  using Number = typename P::Number;
  using Unit = typename P::Unit;

 public:
  explicit Worker(const Linear& task)
      : task_(task),
        panels_(panels_of(task.out)),
        units_(round_up(task.in, P::kPerUnit) / P::kPerUnit),
        panel_(units_ * panel_columns(kPanel)),
        rows_(kTileRows * units_),
        bias_(panel_columns(kPanel)) {}

  void operator()(int64_t item) {
    const int64_t first = item % panels_ * kPanel;
    const int64_t width = std::min(kPanel, task_.out - first);
    const int64_t columns = panel_columns(width);
    pack(first, width, columns);
    const int64_t begin = item / panels_ * kBlock;
    const int64_t end = std::min(begin + kBlock, task_.rows);
    for (int64_t row = begin; row < end; row += kTileRows)
      multiply(row, std::min<int64_t>(end - row, kTileRows), first, width, columns);
  }

 private:
  void pack(int64_t first, int64_t width, int64_t columns) {
    for (int64_t c = 0; c < columns; ++c) {
      const auto* row = static_cast<const Number*>(task_.weight) + (first + c) * task_.in;
      for (int64_t u = 0; u < units_; ++u)
        panel_.get()[u * columns + c] = c < width ? P::unit(row, u, task_.in) : Unit{};
    }
    std::fill_n(bias_.get(), columns, 0.0f);
    if (task_.bias) P::widen(static_cast<const Number*>(task_.bias) + first, width, bias_.get());
  }

  void multiply(int64_t row, int64_t count, int64_t first, int64_t width, int64_t columns) {
    const Unit* rows[kTileRows];
    for (int64_t r = 0; r < kTileRows; ++r) rows[r] = units_of(row + std::min(r, count - 1), r);
    auto* to = static_cast<Number*>(task_.result) + row * task_.out + first;
    for_each_tile(columns, [&](auto vectors, int64_t column) {
      multiply_columns<vectors>(rows, count, column, columns, width - column, to + column);
    });
  }

  template <int V>
  [[gnu::noinline]] void multiply_columns(const Unit* const* rows, int64_t count, int64_t column,
                                          int64_t columns, int64_t width, Number* to) {
    const auto start = [&](int, int v) { return load<Floats>(bias_.get() + column + v * kLanes); };
    const auto finish = [&](int r, int v, Floats sum) {
      if (r >= count) return;
      if (task_.gelu) sum = gelu<P::kDegree>(sum);
      const int64_t left = std::min<int64_t>(width - v * kLanes, kLanes);
      P::narrow(sum, left, to + r * task_.out + v * kLanes);
    };
    multiply_tile<P, V>(rows, units_, panel_.get() + column, columns, start, finish);
  }

  const Unit* units_of(int64_t row, int64_t r) {
    const T* from = static_cast<const T*>(task_.feat) + row * task_.in;
    if constexpr (std::is_same_v<T, Number>)
      if (task_.in % P::kPerUnit == 0) return reinterpret_cast<const Unit*>(from);
    auto* to = reinterpret_cast<Number*>(rows_.get() + r * units_);
    if constexpr (std::is_same_v<T, Number>)
      std::copy(from, from + task_.in, to);
    else
      P::narrow(from, task_.in, to);
    return rows_.get() + r * units_;
  }

  const Linear task_;
  const int64_t panels_, units_;
  Buffer<Unit> panel_, rows_;
  Buffer<float> bias_;
};

}  // namespace

// See concerto_ros/ptv3/kernels/native/linear.py.
extern "C" int concerto_linear(int half, int half_feat, const void* feat, const void* weight,
                               const void* bias, void* result, int64_t rows, int64_t in,
                               int64_t out, int gelu, int threads) {
  const Linear task{feat, weight, bias, result, rows, in, out, gelu != 0};
  const int64_t items = (rows + kBlock - 1) / kBlock * panels_of(out);
  return in_precision(half, [&](auto precision) {
    using P = decltype(precision);
    if (half_feat)
      return in_parallel(threads, items, [&] { return Worker<P, typename P::Number>(task); });
    return in_parallel(threads, items, [&] { return Worker<P, float>(task); });
  });
}
