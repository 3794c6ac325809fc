// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// TensorFlow's threads, as algorithms that know no TensorFlow take them.

#ifndef REALM_OPS_COMMON_THREAD_POOL_H_
#define REALM_OPS_COMMON_THREAD_POOL_H_

#include <cstdint>
#include <functional>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"

namespace realm {

inline tensorflow::thread::ThreadPool* PoolOf(tensorflow::OpKernelContext* c) {
  return c->device()->tensorflow_cpu_worker_threads()->workers;
}

// Calls body(0) ... body(n - 1) on the pool, each as a task of its own, and waits.
inline auto OnPool(tensorflow::OpKernelContext* c) {
  return [pool = PoolOf(c)](int64_t n, const std::function<void(int64_t)>& body) {
    const auto one_each = tensorflow::thread::ThreadPool::SchedulingParams::Fixed(1);
    pool->ParallelFor(n, one_each, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(i);
    });
  };
}

}  // namespace realm

#endif  // REALM_OPS_COMMON_THREAD_POOL_H_
