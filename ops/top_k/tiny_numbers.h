// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#ifndef REALM_OPS_TOP_K_TINY_NUMBERS_H_
#define REALM_OPS_TOP_K_TINY_NUMBERS_H_

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace realm {

// TensorFlow's threads take numbers below 2^-126 for zero; a score must not.
class KeepTinyNumbers {
 public:
#if defined(__x86_64__)
  KeepTinyNumbers() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ & ~0x8040u); }
  ~KeepTinyNumbers() { _mm_setcsr(saved_); }

 private:
  const unsigned saved_;
#endif
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_TINY_NUMBERS_H_
