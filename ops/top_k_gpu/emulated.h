// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// A GPU for tests: blocks run one after another, and the threads of a block take turns, each
// until it waits for others. Copies to shared memory are made when they are waited for and
// not before, so a kernel that does not wait is found out.

#ifndef REALM_OPS_TOP_K_GPU_EMULATED_H_
#define REALM_OPS_TOP_K_GPU_EMULATED_H_

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#define REALM_KERNEL inline
#define REALM_DEVICE inline
#define REALM_HOST_DEVICE inline
#define REALM_THREADS(count)
#define REALM_UNROLL
#define __shared__ static
#define REALM_LAUNCH(kernel, grid, block, shared, stream, ...) \
  ((void)(stream), realm::gpu::Emulate(grid, block, shared, [&] { kernel(__VA_ARGS__); }))

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
inline dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace realm::gpu {

using Stream = void*;

struct EmulatedCopy {
  void* to;
  const void* from;
  int bytes, group;
};

// Who waits here goes on when all have come.
struct Meeting {
  int expected = 0, arrived = 0, round = 0;
  int counts[2] = {};
  unsigned char slots[2][32][32];
};

struct EmulatedThread {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  unsigned index = 0;
  bool ended = false;
  int group = 0;
  std::vector<EmulatedCopy> copies;
};

struct Emulator {
  std::vector<EmulatedThread> threads;
  std::vector<Meeting> warps;
  Meeting block, counting;
  std::vector<char> shared;
  std::function<void()> body;
  ucontext_t home;
  EmulatedThread* current = nullptr;
};
inline Emulator emulator;

inline void RunEmulatedThread() {
  emulator.body();
  emulator.current->ended = true;
}

inline void Emulate(dim3 grid, dim3 block, size_t shared, std::function<void()> body) {
  constexpr size_t kStack = 65536;
  Emulator& e = emulator;
  e.body = std::move(body);
  gridDim = grid, blockDim = block;
  for (unsigned place = 0; place < grid.x * grid.y; ++place) {
    e.threads = std::vector<EmulatedThread>(block.x);
    e.warps.assign(block.x / 32, Meeting());
    for (Meeting& warp : e.warps) warp.expected = 32;
    e.block = Meeting();
    e.counting = Meeting();
    e.block.expected = e.counting.expected = block.x;
    e.shared.assign(shared + 128, static_cast<char>(0xff));  // NaN, if it is read
    for (unsigned i = 0; i < block.x; ++i) {
      EmulatedThread& thread = e.threads[i];
      thread.index = i;
      thread.stack.reset(new char[kStack]);
      getcontext(&thread.context);
      thread.context.uc_stack.ss_sp = thread.stack.get();
      thread.context.uc_stack.ss_size = kStack;
      thread.context.uc_link = &e.home;
      makecontext(&thread.context, RunEmulatedThread, 0);
    }
    for (unsigned left = block.x; left > 0;) {
      for (EmulatedThread& thread : e.threads) {
        if (thread.ended) continue;
        e.current = &thread;
        threadIdx = dim3(thread.index, 0, 0);
        blockIdx = dim3(place % grid.x, place / grid.x, 0);
        swapcontext(&e.home, &thread.context);
        left -= thread.ended;
      }
    }
  }
}

inline void Meet(Meeting* meeting) {
  const int round = meeting->round;
  if (++meeting->arrived == meeting->expected) {
    meeting->arrived = 0;
    ++meeting->round;
    return;
  }
  while (meeting->round == round) {
    swapcontext(&emulator.current->context, &emulator.home);
  }
}

inline Meeting* OwnWarp() { return &emulator.warps[threadIdx.x / 32]; }

inline char* SharedMemory() {
  const auto place = reinterpret_cast<uintptr_t>(emulator.shared.data());
  return reinterpret_cast<char*>((place + 127) / 128 * 128);
}

inline void CopyLater(void* to, const void* from, int bytes) {
  emulator.current->copies.push_back({to, from, bytes, emulator.current->group});
}

inline void EndGroupOfCopies() { ++emulator.current->group; }

template <int pending>
inline void WaitForCopies() {
  EmulatedThread& thread = *emulator.current;
  std::vector<EmulatedCopy> later;
  for (const EmulatedCopy& copy : thread.copies) {
    if (copy.group >= thread.group - pending) {
      later.push_back(copy);
      continue;
    }
    std::memset(copy.to, 0, 16);
    std::memcpy(copy.to, copy.from, copy.bytes);
  }
  thread.copies = later;
}

inline float AsFloat(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

inline uint32_t AsBits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

inline uint32_t RoundToBfloat16(float x) {
  if (std::isnan(x)) return 0x7fff;
  const uint32_t bits = AsBits(x);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

inline uint32_t PackBfloat16(float low, float high) {
  return RoundToBfloat16(low) | RoundToBfloat16(high) << 16;
}

inline float MaxOrNan(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<float>::quiet_NaN();
  return a > b ? a : b;
}

// Every lane's `value`, when all have come; the slots of two rounds, as some may be ahead.
template <typename T>
inline void Exchange(const T& value, T (&all)[32]) {
  static_assert(sizeof(T) <= 32);
  Meeting* warp = OwnWarp();
  auto& slots = warp->slots[warp->round % 2];
  std::memcpy(slots[threadIdx.x % 32], &value, sizeof(T));
  Meet(warp);
  for (int i = 0; i < 32; ++i) std::memcpy(&all[i], slots[i], sizeof(T));
}

template <typename T>
inline T FromLane(T x, int mask) {
  T all[32];
  Exchange(x, all);
  return all[(threadIdx.x % 32) ^ mask];
}

inline void MultiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  struct Operands {
    uint32_t a[4], b[2];
  } all[32];
  Exchange(Operands{{a[0], a[1], a[2], a[3]}, {b0, b1}}, all);
  const auto half = [](uint32_t pair, int which) {
    return AsFloat(which ? pair & 0xffff0000u : pair << 16);
  };
  const int lane = threadIdx.x % 32, group = lane / 4;
  for (int i = 0; i < 4; ++i) {
    const int column = lane % 4 * 2 + i % 2;
    double sum = c[i];
    for (int k = 0; k < 16; ++k) {
      const int quarter = k % 8 / 2;
      sum += static_cast<double>(half(all[group * 4 + quarter].a[i / 2 + k / 8 * 2], k % 2)) *
             half(all[column * 4 + quarter].b[k / 8], k % 2);
    }
    c[i] = static_cast<float>(sum);
  }
}

inline void SyncWarp() { Meet(OwnWarp()); }
inline void SyncBlock() { Meet(&emulator.block); }

inline int SyncAndCount(bool yes) {
  Meeting* counting = &emulator.counting;
  const int which = counting->round / 2 % 2;
  counting->counts[which] += yes;
  Meet(counting);
  const int count = counting->counts[which];
  counting->counts[1 - which] = 0;
  Meet(counting);
  return count;
}

inline int AddToCount(int* count) { return (*count)++; }

}  // namespace realm::gpu

#endif  // REALM_OPS_TOP_K_GPU_EMULATED_H_
