// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// Vectors of the width of this machine, by the vector extensions of GCC and Clang.

#pragma once

#include <algorithm>
#include <cfloat>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

// A name for what this machine has; what follows is written for any number of lanes.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kRegisters = 32;
#elif defined(__AVX__)
constexpr int kLanes = 8;
constexpr int kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kLanes = 4;
constexpr int kRegisters = 32;
#else
constexpr int kLanes = 4;
constexpr int kRegisters = 16;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));

inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Vectors anywhere in memory.
template <class Vector, class T>
inline Vector load(const T* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}
template <class T, class Vector>
inline void store(T* to, Vector vector) {
  std::memcpy(to, &vector, sizeof(vector));
}

inline Floats all(float value) { return Floats{} + value; }

// The larger values; where one of them is not a number, that of `b`.
inline Floats larger(Floats a, Floats b) {
#if defined(__AVX512F__)
  return (Floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
  return a > b ? a : b;
#endif
}

// The smaller values; where one of them is not a number, that of `b`.
inline Floats smaller(Floats a, Floats b) {
#if defined(__AVX512F__)
  return (Floats)_mm512_min_ps((__m512)a, (__m512)b);
#else
  return a < b ? a : b;
#endif
}

// The same as `larger`, but of which NaN is the largest.
inline Floats larger_or_nan(Floats a, Floats b) { return ((a > b) | (a != a)) ? a : b; }

inline float sum_of(Floats vector) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)vector);
#else
  float sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += vector[lane];
  return sum;
#endif
}

inline bool any_above(Floats a, Floats b) {
  const Ints above = a > b;
  for (int lane = 0; lane < kLanes; ++lane)
    if (above[lane]) return true;
  return false;
}

// Minimax polynomials of 2^f on [-1/2, 1/2]: relative errors 7.5e-5 and 7.5e-8.
template <int Degree>
inline Floats fraction_power(Floats f) {
  if constexpr (Degree == 3)
    return ((0.0551716527f * f + 0.242611121f) * f + 0.693260988f) * f + 0.999928074f;
  else
    return ((((0.00132764701f * f + 0.00967554132f) * f + 0.0555071328f) * f + 0.240221197f) * f +
            0.693146967f) *
               f +
           1.00000007f;
}

// 2^x, and NaN for NaN; below 2^-126 it is 0 or 2^-126.
template <int Degree>
inline Floats power_of_two(Floats x) {
#if defined(__AVX512F__)
  const __m512 whole =
      _mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return (Floats)_mm512_scalef_ps((__m512)fraction_power<Degree>(x - (Floats)whole), whole);
#else
  x = larger(all(-126.0f), x);
  const Floats magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to whole numbers
  const Floats shifted = x + magic;
  const Words exponent = ((Words)shifted << 23) + 0x3f800000u;
  return fraction_power<Degree>(x - (shifted - magic)) * (Floats)exponent;
#endif
}

// The Gaussian error linear unit (Hendrycks and Gimpel, 2016), with the complementary error
// function by formula 7.1.26 of Abramowitz and Stegun (error 1.5e-7).
template <int Degree>
inline Floats gelu(Floats x) {
  // Infinity times nothing would be no number. That of minus infinity is none, as in PyTorch.
  const Floats size = (Floats)((Words)smaller(x, all(FLT_MAX)) & 0x7fffffffu);
  const Floats t = 1.0f / (1.0f + 0.231641888f * size);  // 0.3275911 / sqrt(2)
  const Floats series =
      t * (((((1.061405429f * t - 1.453152027f) * t) + 1.421413741f) * t - 0.284496736f) * t +
           0.254829592f);
  const Floats upper = series * power_of_two<Degree>(x * x * -0.72134752f);  // log2(e) / 2
  return larger(Floats{}, x) - 0.5f * size * upper;
}

// float32: one number a lane.
struct Single {
  using Number = float;
  using Unit = float;  // as many numbers as a lane multiplies at a time
  using Vector = Floats;
  static constexpr int kPerUnit = 1;
  static constexpr int kDegree = 5;  // of the polynomial of a power

  static Floats multiply_add(Floats sum, Floats left, const float* right) {
    return sum + left * *right;
  }
  static Floats rounded(Floats values) { return values; }
  static Floats unit_of(const Floats* rounded) { return rounded[0]; }
  static void side_by_side(const float* row, const float*, int64_t count, float* to) {
    std::copy(row, row + count, to);
  }
  static void widen(const float* from, int64_t count, float* to) {
    std::copy(from, from + count, to);
  }
  static void narrow(const float* from, int64_t count, float* to) {
    std::copy(from, from + count, to);
  }
  // Writes the first `count` numbers of a vector.
  static void narrow(Floats from, int64_t count, float* to) {
    if (count == kLanes)
      store(to, from);
    else
      std::memcpy(to, &from, count * sizeof(float));
  }

  // Copies `columns` columns of a (rows, stride) matrix side by side, as multiply_tile takes them.
  static void pack(const float* matrix, int64_t rows, int64_t stride, int64_t columns,
                   float* panel, int64_t panel_stride) {
    for (int64_t r = 0; r < rows; ++r)
      std::copy(matrix + r * stride, matrix + r * stride + columns, panel + r * panel_stride);
  }
  // The number `unit` of a row, of `width` numbers.
  static float unit(const float* row, int64_t unit, int64_t) { return row[unit]; }
};

#if defined(__AVX512BF16__)
// bfloat16: two numbers a lane, which are multiplied and added to a sum in float32.
struct Half {
  using Number = uint16_t;
  using Unit = uint32_t;
  using Vector = Words;
  static constexpr int kPerUnit = 2;
  static constexpr int kDegree = 3;

  static Floats multiply_add(Floats sum, Words left, const uint32_t* right) {
    const __m512i pair = _mm512_set1_epi32(load<int32_t>(right));  // of a row anywhere
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)(__m512i)left, (__m512bh)pair);
  }
  // The nearest numbers of bfloat16, ties away from zero.
  static Floats rounded(Floats values) {
    return (Floats)(((Words)values + 0x8000u) & 0xffff0000u);
  }
  // Two vectors of rounded numbers as the halves of one.
  static Words unit_of(const Floats* rounded) {
    return ((Words)rounded[0] >> 16) | (Words)rounded[1];
  }
  // The numbers of a row in the lower halves, those of the next one, if any, in the upper ones.
  static void side_by_side(const uint16_t* row, const uint16_t* next, int64_t count,
                           uint32_t* to) {
    if (next)
      for (int64_t i = 0; i < count; ++i) to[i] = row[i] | static_cast<uint32_t>(next[i]) << 16;
    else
      std::copy(row, row + count, to);
  }

  static void widen(const uint16_t* from, int64_t count, float* to) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const __m256i numbers = load<__m256i>(from + i);
      store(to + i, _mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
    }
    for (; i < count; ++i) {
      const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
      std::memcpy(to + i, &bits, sizeof(bits));
    }
  }
  static void narrow(const float* from, int64_t count, uint16_t* to) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) narrow(load<Floats>(from + i), kLanes, to + i);
    if (i == count) return;
    Floats rest{};
    std::memcpy(&rest, from + i, (count - i) * sizeof(float));
    narrow(rest, count - i, to + i);
  }
  static void narrow(Floats from, int64_t count, uint16_t* to) {
    const auto numbers = (__m256i)_mm512_cvtneps_pbh((__m512)from);
    if (count == kLanes)
      store(to, numbers);
    else
      std::memcpy(to, &numbers, count * sizeof(uint16_t));
  }
  static void pack(const uint16_t* matrix, int64_t rows, int64_t stride, int64_t columns,
                   uint32_t* panel, int64_t panel_stride) {
    for (int64_t r = 0; r < rows; r += 2) {
      const uint16_t* even = matrix + r * stride;
      side_by_side(even, even + stride, columns, panel + r / 2 * panel_stride);
    }
  }
  // The pair of numbers `unit` of a row of `width` numbers, the last of which may be alone.
  static uint32_t unit(const uint16_t* row, int64_t unit, int64_t width) {
    const uint32_t even = row[2 * unit];
    return 2 * unit + 1 < width ? even | static_cast<uint32_t>(row[2 * unit + 1]) << 16 : even;
  }
};
#endif

// Calls `function` with Half{} or Single{}.
template <class Function>
inline int in_precision([[maybe_unused]] int half, const Function& function) {
#if defined(__AVX512BF16__)
  if (half) return function(Half{});
#endif
  return function(Single{});
}
