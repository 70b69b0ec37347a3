// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// The touching voxels of each voxel, by walking along the sorted keys.

#include "parallel.h"

namespace {

constexpr int kColumns = 9;  // lines of three voxels along z, of which a cube of 27 consists

struct Search {
  const int64_t* keys;   // (rows) sorted, distinct
  const int64_t* order;  // (rows) the row of each key
  int64_t rows;
  const int64_t* columns;  // (9) what the first key of each line is further on
  int64_t block;           // positions of a block
};

// Calls `found(offset, position, source)` for each voxel of the cubes around those of a block.
template <class Function>
void walk(const Search& task, int64_t block, const Function& found) {
  const int64_t begin = block * task.block;
  const int64_t end = std::min(begin + task.block, task.rows);
  const int64_t* last = task.keys + task.rows;
  for (int64_t column = 0; column < kColumns; ++column) {
    const int64_t* at = std::lower_bound(task.keys, last, task.keys[begin] + task.columns[column]);
    for (int64_t position = begin; position < end; ++position) {
      const int64_t target = task.keys[position] + task.columns[column];
      while (at < last && *at < target) ++at;
      const int64_t* hit = at;
      for (int64_t step = 0; step < 3 && hit < last; ++step)
        if (*hit == target + step)
          found(3 * column + step, position - begin, *(task.order + (hit++ - task.keys)));
    }
  }
}

}  // namespace

// Counts the pairs of each block and kernel offset, (blocks * 27); see
// concerto_ros/ptv3/kernels/native/convolution.py.
extern "C" int concerto_count_neighbours(const int64_t* keys, const int64_t* order, int64_t rows,
                                         const int64_t* columns, int64_t block, int64_t* counts,
                                         int threads) {
  const Search task{keys, order, rows, columns, block};
  return in_parallel(threads, (rows + block - 1) / block, [&] {
    return [&](int64_t item) {
      int64_t* of_block = counts + item * 3 * kColumns;
      std::fill_n(of_block, 3 * kColumns, 0);
      walk(task, item, [&](int64_t offset, int64_t, int64_t) { ++of_block[offset]; });
    };
  });
}

// Lists these pairs from `starts` on, (blocks * 27 + 1).
extern "C" int concerto_list_neighbours(const int64_t* keys, const int64_t* order, int64_t rows,
                                        const int64_t* columns, int64_t block,
                                        const int64_t* starts, int32_t* sources, int32_t* targets,
                                        int threads) {
  const Search task{keys, order, rows, columns, block};
  return in_parallel(threads, (rows + block - 1) / block, [&] {
    return [&](int64_t item) {
      int64_t next[3 * kColumns];
      std::copy_n(starts + item * 3 * kColumns, 3 * kColumns, next);
      walk(task, item, [&](int64_t offset, int64_t position, int64_t source) {
        sources[next[offset]] = static_cast<int32_t>(source);
        targets[next[offset]++] = static_cast<int32_t>(position);
      });
    };
  });
}
