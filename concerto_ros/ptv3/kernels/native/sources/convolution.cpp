// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Submanifold convolution: the rows of each kernel offset are multiplied where they lie.

#include "parallel.h"
#include "rows.h"

namespace {

constexpr int kOffsets = 27;

struct Convolution {
  const void* feat;      // (rows, in)
  const void* matrices;  // (27, in, out)
  const void* bias;      // (out)
  void* result;          // (rows, out)
  int64_t rows, in, out;
  int64_t block;           // rows of a block
  const int64_t* order;    // (rows) the row of each position
  const int64_t* starts;   // (blocks * 27 + 1) where the pairs of a block and an offset begin
  const int32_t* sources;  // row of each pair
  const int32_t* targets;  // position of each pair in its block
};

template <class P>
class Worker {
  using Number = typename P::Number;
  using Unit = typename P::Unit;

 public:
  explicit Worker(const Convolution& task)
      : task_(task),
        panels_(panels_of(task.out)),
        units_(task.in / P::kPerUnit),
        sums_((task.block + 1) * panel_columns(kPanel)),
        panel_(units_ * panel_columns(kPanel)) {}

  void operator()(int64_t item) {
    const int64_t block = item / panels_;
    const int64_t first = item % panels_ * kPanel;
    const int64_t width = std::min(kPanel, task_.out - first);
    const int64_t columns = panel_columns(width);
    const int64_t begin = block * task_.block;
    const int64_t count = std::min(task_.block, task_.rows - begin);
    start_with_bias(first, width, columns, count);
    for (int64_t offset = 0; offset < kOffsets; ++offset) {
      const int64_t* pairs = task_.starts + block * kOffsets + offset;
      if (pairs[0] == pairs[1]) continue;
      const auto* matrix =
          static_cast<const Number*>(task_.matrices) + offset * task_.in * task_.out;
      P::pack(matrix + first, task_.in, task_.out, width, panel_.get(), columns);
      for (int64_t pair = pairs[0]; pair < pairs[1]; pair += kTileRows)
        add_pairs(pair, std::min<int64_t>(pairs[1] - pair, kTileRows), columns, count);
    }
    for (int64_t r = 0; r < count; ++r) {
      auto* to = static_cast<Number*>(task_.result) + task_.order[begin + r] * task_.out + first;
      P::narrow(sums_.get() + r * columns, width, to);
    }
  }

 private:
  void start_with_bias(int64_t first, int64_t width, int64_t columns, int64_t count) {
    float* sums = sums_.get();
    std::fill_n(sums, columns, 0.0f);
    P::widen(static_cast<const Number*>(task_.bias) + first, width, sums);
    for (int64_t r = 1; r < count; ++r) std::copy(sums, sums + columns, sums + r * columns);
  }

  void add_pairs(int64_t first, int64_t pairs, int64_t columns, int64_t count) {
    const Unit* rows[kTileRows];
    float* sums[kTileRows];
    for (int64_t r = 0; r < kTileRows; ++r) {
      const bool real = r < pairs;  // the others add to a row that is not used
      const int64_t source = task_.sources[first + (real ? r : 0)];
      const int64_t target = real ? task_.targets[first + r] : count;
      rows[r] = reinterpret_cast<const Unit*>(static_cast<const Number*>(task_.feat) +
                                              source * task_.in);
      sums[r] = sums_.get() + target * columns;
    }
    for_each_tile(columns, [&](auto vectors, int64_t column) {
      add_tile<vectors>(rows, sums, column, columns);
    });
  }

  template <int V>
  [[gnu::noinline]] void add_tile(const Unit* const* rows, float* const* sums, int64_t column,
                                  int64_t columns) {
    const auto start = [&](int r, int v) { return load<Floats>(sums[r] + column + v * kLanes); };
    const auto finish = [&](int r, int v, Floats sum) {
      store(sums[r] + column + v * kLanes, sum);
    };
    multiply_tile<P, V>(rows, units_, panel_.get() + column, columns, start, finish);
  }

  const Convolution task_;
  const int64_t panels_, units_;
  Buffer<float> sums_;  // of the rows of a block, and one more
  Buffer<Unit> panel_;
};

template <class P>
int run(const Convolution& task, int threads) {
  const int64_t blocks = (task.rows + task.block - 1) / task.block;
  return in_parallel(threads, blocks * panels_of(task.out), [&] { return Worker<P>(task); });
}

}  // namespace

// See concerto_ros/ptv3/kernels/native/convolution.py.
extern "C" int concerto_convolve(int half, const void* feat, const void* matrices,
                                 const void* bias, void* result, int64_t rows, int64_t in,
                                 int64_t out, int64_t block, const int64_t* order,
                                 const int64_t* starts, const int32_t* sources,
                                 const int32_t* targets, int threads) {
  const Convolution task{feat, matrices, bias,  result, rows,    in,
                         out,  block,    order, starts, sources, targets};
  return in_precision(half,
                      [&](auto precision) { return run<decltype(precision)>(task, threads); });
}
