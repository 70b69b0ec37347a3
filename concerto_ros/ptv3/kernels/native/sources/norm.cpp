// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Layer normalisation with what comes before it: a residual sum, or the maximum of pooled voxels.

#include <cmath>

#include "parallel.h"
#include "vectors.h"

namespace {

constexpr int64_t kBlock = 256;  // rows that a thread takes at a time

struct Weights {
  const float* weight;  // (channels), or null: no normalisation
  const float* bias;    // (channels)
  float epsilon;
};

// Layer normalisation of rows that are padded to whole vectors.
class Norm {
 public:
  Norm(const Weights& weights, int64_t channels)
      : channels_(channels),
        vectors_(round_up(channels, kLanes) / kLanes),
        epsilon_(weights.epsilon),
        weight_(vectors_),
        bias_(vectors_),
        present_(vectors_) {
    if (!weights.weight) return;
    std::copy_n(weights.weight, channels, reinterpret_cast<float*>(weight_.get()));
    std::copy_n(weights.bias, channels, reinterpret_cast<float*>(bias_.get()));
    std::fill_n(reinterpret_cast<float*>(present_.get()), channels, 1.0f);
  }

  void apply(Floats* row) const {
    // What is not a number in one row is in the padding of the next one.
    auto* values = reinterpret_cast<float*>(row);
    std::fill(values + channels_, values + vectors_ * kLanes, 0.0f);
    Floats sum{};
    for (int64_t v = 0; v < vectors_; ++v) sum += row[v];
    const float near_mean = sum_of(sum) / channels_;
    Floats rest{}, squares{};
    for (int64_t v = 0; v < vectors_; ++v) {
      row[v] = (row[v] - near_mean) * present_.get()[v];
      rest += row[v];
      squares += row[v] * row[v];
    }
    // The mean was rounded by this, which matters where the numbers of a row are nearly the same.
    const float shift = sum_of(rest) / channels_;
    const float variance = std::max(0.0f, sum_of(squares) / channels_ - shift * shift);
    const float factor = 1.0f / std::sqrt(variance + epsilon_);
    for (int64_t v = 0; v < vectors_; ++v)
      row[v] = (row[v] - shift) * factor * weight_.get()[v] + bias_.get()[v];
  }

 private:
  const int64_t channels_, vectors_;
  const float epsilon_;
  Buffer<Floats> weight_, bias_, present_;  // present_: 1 for a channel, 0 for padding
};

// Runs `worker(row)` for each row, where `make_worker()` makes one worker for each thread.
template <class MakeWorker>
int for_each_row(int threads, int64_t rows, const MakeWorker& make_worker) {
  using Worker = decltype(make_worker());
  struct Blocks {
    Worker worker;
    int64_t rows;
    void operator()(int64_t block) {
      const int64_t end = std::min(rows, (block + 1) * kBlock);
      for (int64_t row = block * kBlock; row < end; ++row) worker(row);
    }
  };
  return in_parallel(threads, (rows + kBlock - 1) / kBlock,
                     [&] { return Blocks{make_worker(), rows}; });
}

template <class P>
class AddNorm {
  using Number = typename P::Number;

 public:
  AddNorm(const float* feat, const void* branch, int64_t channels, const Weights& of_branch,
          const Weights& of_sum, float* total, void* normed)
      : feat_(feat),
        branch_(static_cast<const Number*>(branch)),
        channels_(channels),
        normalises_branch_(of_branch.weight),
        branch_norm_(of_branch, channels),
        norm_(of_sum, channels),
        total_(total),
        normed_(static_cast<Number*>(normed)),
        values_(round_up(channels, kLanes) / kLanes) {}

  void operator()(int64_t row) {
    const int64_t at = row * channels_;
    auto* values = reinterpret_cast<float*>(values_.get());
    P::widen(branch_ + at, channels_, values);
    if (normalises_branch_) branch_norm_.apply(values_.get());
    for (int64_t c = 0; c < channels_; ++c) values[c] += feat_[at + c];
    std::copy_n(values, channels_, total_ + at);
    norm_.apply(values_.get());
    P::narrow(values, channels_, normed_ + at);
  }

 private:
  const float* feat_;
  const Number* branch_;
  const int64_t channels_;
  const bool normalises_branch_;
  const Norm branch_norm_, norm_;
  float* total_;
  Number* normed_;
  Buffer<Floats> values_;
};

template <class P>
class Pool {
  using Number = typename P::Number;

 public:
  Pool(const void* values, const int64_t* order, const int64_t* starts, int64_t channels,
       const Weights& weights, float* result)
      : values_(static_cast<const Number*>(values)),
        order_(order),
        starts_(starts),
        channels_(channels),
        vectors_(round_up(channels, kLanes) / kLanes),
        norm_(weights, channels),
        result_(result),
        most_(vectors_),
        one_(vectors_) {}

  void operator()(int64_t row) {
    auto* most = reinterpret_cast<float*>(most_.get());
    auto* one = reinterpret_cast<float*>(one_.get());
    P::widen(values_ + order_[starts_[row]] * channels_, channels_, most);
    for (int64_t member = starts_[row] + 1; member < starts_[row + 1]; ++member) {
      P::widen(values_ + order_[member] * channels_, channels_, one);
      for (int64_t v = 0; v < vectors_; ++v)
        most_.get()[v] = larger_or_nan(one_.get()[v], most_.get()[v]);
    }
    norm_.apply(most_.get());
    for (int64_t v = 0; v < vectors_; ++v) most_.get()[v] = gelu<P::kDegree>(most_.get()[v]);
    std::copy_n(most, channels_, result_ + row * channels_);
  }

 private:
  const Number* values_;
  const int64_t *order_, *starts_;
  const int64_t channels_, vectors_;
  const Norm norm_;
  float* result_;
  Buffer<Floats> most_, one_;
};

}  // namespace

// See concerto_ros/ptv3/kernels/native/norm.py.
extern "C" int concerto_add_norm(int half, const float* feat, const void* branch, int64_t rows,
                                 int64_t channels, const float* branch_weight,
                                 const float* branch_bias, float branch_epsilon,
                                 const float* weight, const float* bias, float epsilon,
                                 float* total, void* normed, int threads) {
  const Weights of_branch{branch_weight, branch_bias, branch_epsilon};
  const Weights of_sum{weight, bias, epsilon};
  return in_precision(half, [&](auto precision) {
    using P = decltype(precision);
    return for_each_row(threads, rows, [&] {
      return AddNorm<P>(feat, branch, channels, of_branch, of_sum, total, normed);
    });
  });
}

// See concerto_ros/ptv3/kernels/native/norm.py.
extern "C" int concerto_pool(int half, const void* values, const int64_t* order,
                             const int64_t* starts, int64_t rows, int64_t channels,
                             const float* weight, const float* bias, float epsilon, float* result,
                             int threads) {
  const Weights weights{weight, bias, epsilon};
  return in_precision(half, [&](auto precision) {
    using P = decltype(precision);
    return for_each_row(threads, rows,
                        [&] { return Pool<P>(values, order, starts, channels, weights, result); });
  });
}
