// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Independent pieces of work on several threads.

#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
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

// Threads that help the one that made them, and sleep in between.
//
// Each thread that calls a kernel has a crew of its own, so that none waits for another's. Helpers
// have the priority of that thread, which on Linux they take over when they are started.
class Crew {
 public:
  Crew() = default;
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  // Whether the helpers exist, which a fork does not copy, and have the caller's priority.
  bool fits() const { return process_ == getpid() && nice_ == getpriority(PRIO_PROCESS, 0); }
  bool is_of_this_process() const { return process_ == getpid(); }

  // Runs `share` here and, as far as they wake before it returns, in `count` helpers.
  void run(int64_t count, const std::function<void()>& share) {
    hire(count);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      share_ = &share;
      wanted_ = std::min<int64_t>(count, helpers_.size());
    }
    for (int64_t n = 0; n < count; ++n) wake_.notify_one();
    share();
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // nothing is left for those that are still asleep
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void hire(int64_t count) {
    try {
      while (static_cast<int64_t>(helpers_.size()) < count)
        helpers_.emplace_back([this] { help(); });
    } catch (const std::exception&) {
      // No further thread, or no memory for it: those that there are do all the work.
    }
  }

  void help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return ending_ || wanted_ > 0; });
      if (ending_) return;
      --wanted_;
      ++busy_;
      const std::function<void()>& share = *share_;
      lock.unlock();
      share();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  const pid_t process_ = getpid();
  const int nice_ = getpriority(PRIO_PROCESS, 0);
  std::vector<std::thread> helpers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void()>* share_ = nullptr;
  int64_t wanted_ = 0, busy_ = 0;
  bool ending_ = false;
};

// The crew of the calling thread; it ends with that thread.
inline Crew& crew_of_this_thread() {
  struct Holder {
    Crew* crew = nullptr;
    ~Holder() { replace(nullptr); }
    void replace(Crew* next) {
      // The threads of a crew from before a fork do not exist here: nothing can wait for them.
      if (crew && crew->is_of_this_process()) delete crew;
      crew = next;
    }
  };
  thread_local Holder holder;
  if (!holder.crew || !holder.crew->fits()) holder.replace(new Crew);
  return *holder.crew;
}

// Runs `worker(item)` for each item below `items`, where `make_worker()` makes one worker for each
// thread. Which thread takes an item changes nothing of its result.
template <class MakeWorker>
int in_parallel(int threads, int64_t items, const MakeWorker& make_worker) {
  std::atomic<int64_t> next{0};
  std::atomic<int> result{kDone};
  const auto share = [&] {
    try {
      if (next >= items) return;
      auto worker = make_worker();
      for (int64_t item = next++; item < items; item = next++) worker(item);
    } catch (const std::bad_alloc&) {
      result = kOutOfMemory;
    }
  };
  const int64_t helpers = std::min<int64_t>(threads, items) - 1;
  if (helpers < 1) {
    share();
    return result;
  }
  try {
    crew_of_this_thread().run(helpers, share);
  } catch (const std::bad_alloc&) {
    share();  // without help
  }
  return result;
}
