// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Independent pieces of work on several threads.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

// Results of the functions of this library.
constexpr int kDone = 0;
constexpr int kOutOfMemory = 1;

// Memory of a cache line's alignment, filled with zeros.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(::operator new(size * sizeof(T) + 1, kAlignment))) {
    std::memset(static_cast<void*>(data_), 0, size * sizeof(T));
  }
  ~Buffer() { ::operator delete(data_, kAlignment); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() const { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  T* data_;
};

// Runs `worker(item)` for each item below `items`, where `make_worker()` makes one worker for each
// thread. Which thread takes an item changes nothing of its result. Threads are started for each
// call, which takes some 10 us: none has to be kept, to survive a fork, or to change its priority.
template <class MakeWorker>
int in_parallel(int threads, int64_t items, const MakeWorker& make_worker) {
  std::atomic<int64_t> next{0};
  std::atomic<int> result{kDone};
  const auto share = [&] {
    try {
      auto worker = make_worker();
      for (int64_t item = next++; item < items; item = next++) worker(item);
    } catch (const std::bad_alloc&) {
      result = kOutOfMemory;
    }
  };
  std::vector<std::thread> others;
  try {
    for (int64_t n = std::min<int64_t>(threads, items); n > 1; --n) others.emplace_back(share);
  } catch (const std::exception&) {
    // No further thread, or no memory for it: those that run do all the work.
  }
  share();
  for (std::thread& other : others) other.join();
  return result;
}
