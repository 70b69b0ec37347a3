// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Softmax attention within patches, from queries, keys and values where they lie.
//
// Lanes are queries: a score needs no sum across lanes. Scores stay in registers until they are
// weights, and the weights of a block of keys in the first cache until they are used, as in
// FlashAttention (Dao et al., NeurIPS 2022).

#include <limits>

#include "parallel.h"
#include "rows.h"

namespace {

// Vectors of queries whose sums are in registers at a time, each with kTileRows keys or channels.
constexpr int kVectors = 2;

// Keys whose weights are kept at a time.
constexpr int64_t kBlock = 64;

// A softmax may subtract any number from the scores of a row; only one that is far from the
// largest lets weights overflow, or all of them vanish. It starts at 0 and moves when a score is
// farther than this many powers of two.
constexpr float kFar = 40.0f;

// Of a key that is left out; no number is below it.
constexpr float kNoScore = std::numeric_limits<float>::lowest();

struct Attention {
  const void* heads;          // (rows, 3, count, width): queries, keys, values
  void* mixed;                // (rows, count, width)
  int64_t count, width;       // heads, channels of each
  int64_t queries, keys;      // of a patch
  const int64_t* query_rows;  // (patches, queries)
  const int64_t* key_rows;    // (patches, keys)
  const uint8_t* mask;        // (patches, keys), 0 for keys that are padding, or null
  float scale;                // of the scores
};

template <class P>
class Worker {
  using Number = typename P::Number;
  using Unit = typename P::Unit;
  using Vector = typename P::Vector;

 public:
  explicit Worker(const Attention& task)
      : task_(task),
        scale_(task.scale * 1.44269504f),  // log2(e): weights are powers of two
        stride_(3 * task.count * task.width),
        whole_(task.width / P::kPerUnit),
        units_(round_up(task.width, P::kPerUnit) / P::kPerUnit),
        channels_(round_up(task.width, kTileRows)),
        keys_(round_up(task.keys, kTileRows) * units_),
        values_(round_up(task.keys, kTileRows) / P::kPerUnit * channels_),
        queries_(units_ * kVectors),
        weights_(kBlock / P::kPerUnit * kVectors),
        sums_(channels_ * kVectors) {}

  // Attends with one head of one patch.
  void operator()(int64_t item) {
    head_ = item % task_.count;
    patch_ = item / task_.count;
    mask_ = task_.mask ? task_.mask + patch_ * task_.keys : nullptr;
    load_keys();
    load_values();
    int64_t first = 0;
    for (; first + kLanes < task_.queries; first += kVectors * kLanes) attend<kVectors>(first);
    if (first < task_.queries) attend<1>(first);
  }

 private:
  const Number* head_of(int64_t which) const {
    return static_cast<const Number*>(task_.heads) + (which * task_.count + head_) * task_.width;
  }

  // Keys and values beyond those of the patch stay zeros.
  void load_keys() {
    const int64_t* rows = task_.key_rows + patch_ * task_.keys;
    const Number* keys = head_of(1);
    for (int64_t k = 0; k < task_.keys; ++k) {
      const Number* key = keys + rows[k] * stride_;
      std::copy(key, key + task_.width, reinterpret_cast<Number*>(keys_.get() + k * units_));
    }
  }

  void load_values() {
    const int64_t* rows = task_.key_rows + patch_ * task_.keys;
    const Number* values = head_of(2);
    for (int64_t k = 0; k < task_.keys; k += P::kPerUnit) {
      const Number* value = values + rows[k] * stride_;
      const Number* next = k + 1 < task_.keys ? values + rows[k + 1] * stride_ : nullptr;
      P::side_by_side(value, next, task_.width, values_.get() + k / P::kPerUnit * channels_);
    }
  }

  template <int V>
  void attend(int64_t first) {
    const int64_t* rows = task_.query_rows + patch_ * task_.queries + first;
    const int64_t count = std::min<int64_t>(task_.queries - first, V * kLanes);
    load_queries<V>(rows, count);
    std::fill_n(sums_.get(), channels_ * V, Floats{});
    Floats shift[V] = {}, total[V] = {}, most[V];
    std::fill_n(most, V, all(kNoScore));
    for (int64_t start = 0; start < task_.keys; start += kBlock) {
      const int64_t end = std::min(start + kBlock, task_.keys);
      Floats sum[V] = {};
      weigh<V>(start, end, shift, most, sum);
      if (is_far<V>(most, shift, start == 0)) {
        if (start > 0) scale_sums<V>(most, shift, total);  // 0 times infinity would be NaN
        std::copy_n(most, V, shift);
        std::fill_n(sum, V, Floats{});
        weigh<V>(start, end, shift, most, sum);
      }
      for (int v = 0; v < V; ++v) total[v] += sum[v];
      add_values<V>(start, end);
    }
    write<V>(rows, count, total);
  }

  template <int V>
  void load_queries(const int64_t* rows, int64_t count) {
    const Number* queries = head_of(0);
    auto* to = reinterpret_cast<Unit*>(queries_.get());
    for (int64_t q = 0; q < V * kLanes; ++q) {
      const Number* query = queries + rows[q < count ? q : 0] * stride_;
      for (int64_t u = 0; u < whole_; ++u)
        to[u * V * kLanes + q] = load<Unit>(query + u * P::kPerUnit);
      if (whole_ < units_) to[whole_ * V * kLanes + q] = query[task_.width - 1];
    }
  }

  // Computes the weights of a block of keys, their sums, and the largest score of each query.
  template <int V>
  void weigh(int64_t start, int64_t end, const Floats* shift, Floats* most, Floats* sum) {
    int64_t key = start;
    if (!mask_)
      for (; key + kTileRows <= end; key += kTileRows)
        weigh_tile<V, false>(start, key, end, shift, most, sum);
    for (; key < end; key += kTileRows) weigh_tile<V, true>(start, key, end, shift, most, sum);
  }

  template <int V, bool kSomeLeftOut>
  void weigh_tile(int64_t start, int64_t first, int64_t end, const Floats* shift, Floats* most,
                  Floats* sum) {
    const Vector* queries = queries_.get();
    const Unit* keys = keys_.get() + first * units_;
    Floats score[kTileRows][V] = {};
    add_products<P>(
        score, units_, [&](int64_t u, int v) { return queries[V * u + v]; },
        [&](int k, int64_t u) { return keys + k * units_ + u; });
    Vector* weights = weights_.get() + (first - start) / P::kPerUnit * V;
#pragma GCC unroll 8
    for (int k = 0; k < kTileRows; k += P::kPerUnit)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        Floats weight[P::kPerUnit];
#pragma GCC unroll 2
        for (int i = 0; i < P::kPerUnit; ++i) {
          Floats scaled = score[k + i][v] * scale_;
          if (kSomeLeftOut && is_left_out(first + k + i, end)) scaled = all(kNoScore);
          most[v] = larger(scaled, most[v]);
          weight[i] = P::rounded(power_of_two<P::kDegree>(scaled - shift[v]));
          sum[v] += weight[i];
        }
        weights[V * k / P::kPerUnit + v] = P::unit_of(weight);
      }
  }

  bool is_left_out(int64_t key, int64_t end) const { return key >= end || (mask_ && !mask_[key]); }

  template <int V>
  static bool is_far(const Floats* most, const Floats* shift, bool also_below) {
    for (int v = 0; v < V; ++v) {
      if (any_above(most[v], shift[v] + kFar)) return true;
      if (also_below && any_above(shift[v] - kFar, most[v])) return true;
    }
    return false;
  }

  template <int V>
  void scale_sums(const Floats* most, const Floats* shift, Floats* total) {
    for (int v = 0; v < V; ++v) {
      const Floats factor = power_of_two<P::kDegree>(shift[v] - most[v]);
      total[v] *= factor;
      for (int64_t c = 0; c < channels_; ++c) sums_.get()[V * c + v] *= factor;
    }
  }

  // Adds the weighted values of a block of keys.
  template <int V>
  void add_values(int64_t start, int64_t end) {
    const Vector* weights = weights_.get();
    const int64_t keys = round_up(end - start, kTileRows) / P::kPerUnit;
    for (int64_t channel = 0; channel < channels_; channel += kTileRows) {
      const Unit* values = values_.get() + start / P::kPerUnit * channels_ + channel;
      Floats* sums = sums_.get() + V * channel;
      Floats sum[kTileRows][V];
#pragma GCC unroll 8
      for (int c = 0; c < kTileRows; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[c][v] = sums[V * c + v];
      add_products<P>(
          sum, keys, [&](int64_t k, int v) { return weights[V * k + v]; },
          [&](int c, int64_t k) { return values + k * channels_ + c; });
#pragma GCC unroll 8
      for (int c = 0; c < kTileRows; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sums[V * c + v] = sum[c][v];
    }
  }

  template <int V>
  void write(const int64_t* rows, int64_t count, const Floats* total) {
    Floats* sums = sums_.get();
    auto* units = reinterpret_cast<Vector*>(sums);  // is behind what is read
    for (int64_t u = 0; u < units_; ++u)
      for (int v = 0; v < V; ++v) {
        Floats mean[P::kPerUnit];
        for (int i = 0; i < P::kPerUnit; ++i)
          mean[i] = P::rounded(sums[V * (P::kPerUnit * u + i) + v] / total[v]);
        units[V * u + v] = P::unit_of(mean);
      }
    const auto* from = reinterpret_cast<const Unit*>(units);
    Number* mixed = static_cast<Number*>(task_.mixed) + head_ * task_.width;
    for (int64_t q = 0; q < count; ++q) {
      Number* to = mixed + rows[q] * task_.count * task_.width;
      for (int64_t u = 0; u < whole_; ++u) store(to + u * P::kPerUnit, from[u * V * kLanes + q]);
      if (whole_ < units_) to[task_.width - 1] = from[whole_ * V * kLanes + q];
    }
  }

  const Attention task_;
  const float scale_;
  const int64_t stride_, whole_, units_, channels_;  // whole_: units without padding
  int64_t head_ = 0, patch_ = 0;
  const uint8_t* mask_ = nullptr;
  Buffer<Unit> keys_, values_;  // (keys, units), (keys, channels)
  Buffer<Vector> queries_;      // (units, V)
  Buffer<Vector> weights_;      // (keys of a block, V)
  Buffer<Floats> sums_;         // (channels, V)
};

}  // namespace

// See concerto_ros/ptv3/kernels/native/attention.py.
extern "C" int concerto_attend(int half, const void* heads, void* mixed, int64_t count,
                               int64_t width, int64_t patches, int64_t queries, int64_t keys,
                               const int64_t* query_rows, const int64_t* key_rows,
                               const uint8_t* mask, float scale, int threads) {
  const Attention task{heads, mixed,      count,    width, queries,
                       keys,  query_rows, key_rows, mask,  scale};
  return in_precision(half, [&](auto precision) {
    using P = decltype(precision);
    return in_parallel(threads, patches * count, [&] { return Worker<P>(task); });
  });
}
