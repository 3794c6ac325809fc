// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#ifndef REALM_OPS_TOP_K_TINY_NUMBERS_H_
#define REALM_OPS_TOP_K_TINY_NUMBERS_H_

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace realm {

// TensorFlow's threads take numbers below 2^-126 for zero; a score must not.
class KeepTinyNumbers {
 public:
  // Without `keep` it is as on TensorFlow's threads, for tests.
  explicit KeepTinyNumbers(bool keep = true) : saved_(Get()) {
    Set(keep ? saved_ & ~kZeroes : saved_ | kZeroes);
  }
  ~KeepTinyNumbers() { Set(saved_); }

 private:
#if defined(__x86_64__)
  static constexpr uint64_t kZeroes = 0x8040;  // of results and of arguments
  static uint64_t Get() { return _mm_getcsr(); }
  static void Set(uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kZeroes = 1 << 24;  // FPCR.FZ
  static uint64_t Get() {
    uint64_t mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void Set(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  static constexpr uint64_t kZeroes = 0;
  static uint64_t Get() { return 0; }
  static void Set(uint64_t) {}
#endif

  const uint64_t saved_;
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_TINY_NUMBERS_H_
