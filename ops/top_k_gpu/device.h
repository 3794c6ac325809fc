// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// The instructions of a GPU that the kernels use by name. Without nvcc they are emulated
// (emulated.h), so that the same kernels can be tested where there is no GPU.

#ifndef REALM_OPS_TOP_K_GPU_DEVICE_H_
#define REALM_OPS_TOP_K_GPU_DEVICE_H_

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define REALM_KERNEL static __global__
#define REALM_DEVICE __device__ __forceinline__
#define REALM_HOST_DEVICE __host__ __device__ __forceinline__
#define REALM_THREADS(count) __launch_bounds__(count, 1)
#define REALM_UNROLL _Pragma("unroll")
#define REALM_LAUNCH(kernel, grid, block, shared, stream, ...) \
  kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)

namespace realm::gpu {

using Stream = cudaStream_t;

REALM_DEVICE char* SharedMemory() {
  extern __shared__ __align__(128) char memory[];
  return memory;
}

// Copies 16 bytes to shared memory, of which the first `bytes` are read and the others are 0.
REALM_DEVICE void CopyLater(void* to, const void* from, int bytes) {
  const uint32_t place = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from),
               "r"(bytes)
               : "memory");
}

REALM_DEVICE void EndGroupOfCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for this thread's copies, but for those of the last `pending` groups.
template <int pending>
REALM_DEVICE void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// c [16, 8] += a [16, 16] b [16, 8], spread over a warp as PTX defines for m16n8k16.
REALM_DEVICE void MultiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                              uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two bfloat16, rounded to nearest, `low` in the lower half.
REALM_DEVICE uint32_t PackBfloat16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

REALM_DEVICE float AsFloat(uint32_t bits) { return __uint_as_float(bits); }
REALM_DEVICE uint32_t AsBits(float x) { return __float_as_uint(x); }

// NaN if either is.
REALM_DEVICE float MaxOrNan(float a, float b) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
  return larger;
}

template <typename T>
REALM_DEVICE T FromLane(T x, int mask) {
  return __shfl_xor_sync(0xffffffffu, x, mask);
}

REALM_DEVICE void SyncWarp() { __syncwarp(); }
REALM_DEVICE void SyncBlock() { __syncthreads(); }
REALM_DEVICE int SyncAndCount(bool yes) { return __syncthreads_count(yes); }
REALM_DEVICE int AddToCount(int* count) { return atomicAdd(count, 1); }

}  // namespace realm::gpu

#else
#include "ops/top_k_gpu/emulated.h"
#endif

#endif  // REALM_OPS_TOP_K_GPU_DEVICE_H_
