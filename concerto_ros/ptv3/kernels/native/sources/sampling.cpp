// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Farthest point sampling.

#include "parallel.h"
#include "vectors.h"

// The same bits as PyTorch's operators, which round each product before it is added.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

namespace {

struct Sampling {
  const float* points;    // (clouds, total, 3)
  const float* distance;  // (clouds, total) that the least distances start with
  int64_t total, count;
  int64_t start;    // the row that is chosen first
  int64_t* chosen;  // (clouds, count)
};

class Sampler {
 public:
  explicit Sampler(const Sampling& task)
      : task_(task),
        vectors_(round_up(task.total, kLanes) / kLanes),
        x_(vectors_),
        y_(vectors_),
        z_(vectors_),
        distance_(vectors_) {}

  void operator()(int64_t cloud) {
    load(cloud);
    int64_t* chosen = task_.chosen + cloud * task_.count;
    int64_t newest = task_.start;
    for (int64_t step = 0; step < task_.count; ++step) {
      chosen[step] = newest;
      newest = farthest(newest);
    }
  }

 private:
  static float* numbers(const Buffer<Floats>& of) { return reinterpret_cast<float*>(of.get()); }

  void load(int64_t cloud) {
    const float* point = task_.points + cloud * task_.total * 3;
    for (int64_t row = 0; row < task_.total; ++row, point += 3) {
      numbers(x_)[row] = point[0];
      numbers(y_)[row] = point[1];
      numbers(z_)[row] = point[2];
    }
    const float* distance = task_.distance + cloud * task_.total;
    std::copy_n(distance, task_.total, numbers(distance_));
    // Rows that are padding are never the farthest.
    std::fill(numbers(distance_) + task_.total, numbers(distance_) + vectors_ * kLanes, -2.0f);
  }

  // Returns the first row whose least distance to the chosen ones is the largest.
  int64_t farthest(int64_t newest) {
    const Floats x = all(numbers(x_)[newest]);
    const Floats y = all(numbers(y_)[newest]);
    const Floats z = all(numbers(z_)[newest]);
    Floats largest = all(-3.0f);
    Ints vector_of{};
    for (int64_t v = 0; v < vectors_; ++v) {
      const Floats dx = x_.get()[v] - x, dy = y_.get()[v] - y, dz = z_.get()[v] - z;
      const Floats squared = dx * dx + dy * dy + dz * dz;
      const Floats least = squared < distance_.get()[v] ? squared : distance_.get()[v];
      distance_.get()[v] = least;
      const Ints farther = least > largest;
      largest = farther ? least : largest;
      vector_of = farther ? Ints{} + static_cast<int32_t>(v) : vector_of;
    }
    int64_t best = vector_of[0] * static_cast<int64_t>(kLanes);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t row = vector_of[lane] * static_cast<int64_t>(kLanes) + lane;
      const float far = numbers(distance_)[row], farthest = numbers(distance_)[best];
      if (far > farthest || (far == farthest && row < best)) best = row;
    }
    return best;
  }

  const Sampling task_;
  const int64_t vectors_;
  Buffer<Floats> x_, y_, z_, distance_;
};

}  // namespace

// See concerto_ros/ptv3/kernels/native/sampling.py.
extern "C" int concerto_sample(const float* points, const float* distance, int64_t clouds,
                               int64_t total, int64_t count, int64_t start, int64_t* chosen,
                               int threads) {
  const Sampling task{points, distance, total, count, start, chosen};
  return in_parallel(threads, clouds, [&] { return Sampler(task); });
}
