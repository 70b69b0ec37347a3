// Copyright 2026 concerto_ros contributors
// SPDX-License-Identifier: Apache-2.0
// What this library can compute.

// Whether kernels compute in bfloat16 where they are asked to.
extern "C" int concerto_has_bfloat16() {
#if defined(__AVX512BF16__)
  return 1;
#else
  return 0;
#endif
}
