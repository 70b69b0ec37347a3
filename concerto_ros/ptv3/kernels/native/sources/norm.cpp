// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Layer normalisation with what comes before it: a residual sum, or the maximum of pooled voxels.

#include <cmath>

#include "parallel.h"
#include "vectors.h"

namespace {

constexpr int64_t kBlock = 256;  // rows that a thread takes at a time

struct Norm {
  const float* weight;  // (channels), or null: no normalisation
  const float* bias;
  float epsilon;
};

float sum_of(Floats lanes) {
  float sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

// Sum of `function(value)` over a row.
template <class Function>
inline float sum_over(const float* row, int64_t channels, const Function& function) {
  Floats lanes{};
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) lanes += function(load<Floats>(row + c));
  Floats rest{};
  for (; c < channels; ++c) rest[c % kLanes] = function(all(row[c]))[0];
  return sum_of(lanes + rest);
}

void normalise(const float* row, int64_t channels, const Norm& norm, float* to) {
  const float mean = sum_over(row, channels, [](Floats x) { return x; }) / channels;
  const auto square = [mean](Floats x) { return (x - mean) * (x - mean); };
  const float variance = sum_over(row, channels, square) / channels;
  const float factor = 1.0f / std::sqrt(variance + norm.epsilon);
  for (int64_t c = 0; c < channels; ++c)
    to[c] = (row[c] - mean) * factor * norm.weight[c] + norm.bias[c];
}

// Runs `row_worker(row)` for each row.
template <class MakeWorker>
int for_each_row(int threads, int64_t rows, const MakeWorker& make_worker) {
  return in_parallel(threads, (rows + kBlock - 1) / kBlock, [&] {
    return [worker = make_worker(), rows](int64_t block) mutable {
      const int64_t end = std::min(rows, (block + 1) * kBlock);
      for (int64_t row = block * kBlock; row < end; ++row) worker(row);
    };
  });
}

}  // namespace

// See concerto_ros/ptv3/kernels/native/norm.py.
extern "C" int concerto_add_norm(int half, const float* feat, const void* branch, int64_t rows,
                                 int64_t channels, const float* branch_weight,
                                 const float* branch_bias, float branch_epsilon,
                                 const float* weight, const float* bias, float epsilon,
                                 float* total, void* normed, int threads) {
  const Norm of_branch{branch_weight, branch_bias, branch_epsilon};
  const Norm of_sum{weight, bias, epsilon};
  return in_precision(half, [&](auto precision) {
    using P = decltype(precision);
    using Number = typename P::Number;
    return for_each_row(threads, rows, [&] {
      return [&, values = std::vector<float>(channels)](int64_t row) mutable {
        const int64_t at = row * channels;
        P::widen(static_cast<const Number*>(branch) + at, channels, values.data());
        if (of_branch.weight) normalise(values.data(), channels, of_branch, values.data());
        for (int64_t c = 0; c < channels; ++c) total[at + c] = feat[at + c] + values[c];
        if (of_sum.weight) {
          normalise(total + at, channels, of_sum, values.data());
          P::narrow(values.data(), channels, static_cast<Number*>(normed) + at);
        } else {
          P::narrow(total + at, channels, static_cast<Number*>(normed) + at);
        }
      };
    });
  });
}

// See concerto_ros/ptv3/kernels/native/norm.py.
extern "C" int concerto_pool(int half, const void* values, const int64_t* order,
                             const int64_t* starts, int64_t rows, int64_t channels,
                             const float* weight, const float* bias, float epsilon, float* result,
                             int threads) {
  const Norm norm{weight, bias, epsilon};
  return in_precision(half, [&](auto precision) {
    using P = decltype(precision);
    using Number = typename P::Number;
    return for_each_row(threads, rows, [&] {
      return [&, most = std::vector<float>(round_up(channels, kLanes)),
              one = std::vector<float>(channels)](int64_t row) mutable {
        const auto* numbers = static_cast<const Number*>(values);
        P::widen(numbers + order[starts[row]] * channels, channels, most.data());
        for (int64_t member = starts[row] + 1; member < starts[row + 1]; ++member) {
          P::widen(numbers + order[member] * channels, channels, one.data());
          for (int64_t c = 0; c < channels; ++c)  // a maximum of which NaN is the largest
            most[c] = one[c] > most[c] || one[c] != one[c] ? one[c] : most[c];
        }
        if (norm.weight) normalise(most.data(), channels, norm, most.data());
        float* to = result + row * channels;
        for (int64_t c = 0; c < round_up(channels, kLanes); c += kLanes)
          store(most.data() + c, gelu<P::kDegree>(load<Floats>(most.data() + c)));
        std::copy(most.data(), most.data() + channels, to);
      };
    });
  });
}
