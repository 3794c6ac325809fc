// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// One search on a GPU as launches of kernels: of up to 64 queries at a time.

#ifndef REALM_OPS_TOP_K_GPU_LAUNCH_H_
#define REALM_OPS_TOP_K_GPU_LAUNCH_H_

#include <algorithm>

#include "ops/top_k_gpu/choose.h"
#include "ops/top_k_gpu/search.h"

namespace realm::gpu {

// How a scan is shared out: warps of a block, of which a processor has one, and stages of
// 4 KB that each has on their way.
template <int warps, int stages>
struct Shape {
  static constexpr int kWarps = warps, kStages = stages;
  static constexpr size_t kBytes = static_cast<size_t>(warps) * stages * kStageBytes;
};

inline int64_t StepsOf(const Search& s) {
  return s.is_bfloat16 ? Columns<Bfloat16>::StepsOf(s.depth)
                       : Columns<float>::StepsOf(s.depth);
}

inline size_t SharedBytes(const Search& s, int tiles, size_t stages) {
  return StepsOf(s) * tiles * 512 + stages;
}

// Hands out parts of a workspace, and says how much that was.
class Parts {
 public:
  explicit Parts(void* workspace) : base_(static_cast<char*>(workspace)) {}

  template <typename T>
  T* Take(int64_t count) {
    T* part = reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += (count * sizeof(T) + 255) / 256 * 256;
    return part;
  }
  size_t bytes() const { return bytes_; }

 private:
  char* base_;
  size_t bytes_ = 0;
};

// What the kernels of one search of `columns` queries share.
struct Plan {
  Queries queries;
  Scanned scanned;
  Choice choice;
  size_t bytes;
};

inline Plan PlanOf(const Search& s, int columns, int warps, void* workspace) {
  Parts parts(workspace);
  const int64_t groups = (s.rows + kGroupRows - 1) / kGroupRows;
  const int depth = static_cast<int>(s.depth);
  uint4* packed = parts.Take<uint4>(StepsOf(s) * columns * 4);
  float* slopes = parts.Take<float>(columns);
  int32_t* exponents = parts.Take<int32_t>(columns);
  float* maxima = parts.Take<float>(groups * columns);
  float* reach = parts.Take<float>(groups);
  float* lows = parts.Take<float>(static_cast<int64_t>(warps) * columns);
  float* highs = parts.Take<float>(static_cast<int64_t>(warps) * columns);
  float* thresholds = parts.Take<float>(columns);
  int* num_groups = parts.Take<int>(columns);
  int* num_found = parts.Take<int>(columns);
  int32_t* chosen = parts.Take<int32_t>(columns * kMaxCandidates);
  uint64_t* found = parts.Take<uint64_t>(columns * kMaxCandidates);
  return {{s.queries, 0, depth, packed, slopes, exponents},
          {s.table, s.rows, depth, packed, slopes, maxima, reach, lows, highs},
          {s.queries, s.table, s.rows, 0, depth, static_cast<int>(s.width), columns, warps,
           maxima, reach, slopes, exponents, lows, highs, thresholds, num_groups, num_found,
           chosen, found, s.scores, s.best, s.problem},
          parts.bytes()};
}

#if defined(__CUDACC__)
template <typename Kernel>
int AllowShared(Kernel kernel, size_t bytes) {
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes));
}
inline int Clear(int32_t* word, Stream stream) {
  return cudaMemsetAsync(word, 0, sizeof(*word), stream);
}
inline int LastError() { return cudaGetLastError(); }
#else
template <typename Kernel>
int AllowShared(Kernel, size_t) {
  return 0;
}
inline int Clear(int32_t* word, Stream) { return *word = 0; }
inline int LastError() { return 0; }
#endif

template <typename T, int NT, typename Shape>
int Launch(const Search& s, const Device& device, void* workspace, Stream stream) {
  constexpr int kColumns = 8 * NT;
  const size_t shared = SharedBytes(s, NT, Shape::kBytes);
  const auto scan = Scan<T, NT, Shape::kWarps, Shape::kStages>;
  const auto prepare = Prepare<T, NT>;
  const auto collect = Collect<kColumns>;
  const auto score = Score<T>;
  int error = AllowShared(scan, shared);
  if (error == 0) error = Clear(s.problem, stream);
  const int warps = device.processors * Shape::kWarps;
  Plan plan = PlanOf(s, kColumns, warps, workspace);
  for (int64_t first = 0; first < s.batch && error == 0; first += kColumns) {
    const int count = static_cast<int>(std::min<int64_t>(kColumns, s.batch - first));
    Choice& choice = plan.choice;
    plan.queries.count = choice.count = count;
    plan.queries.values = choice.queries = s.queries + first * s.depth;
    choice.scores = s.scores + first * s.width;
    choice.best = s.best + first * s.width;
    REALM_LAUNCH(prepare, kColumns, 32, 0, stream, plan.queries);
    REALM_LAUNCH(scan, device.processors, Shape::kWarps * 32, shared, stream, plan.scanned);
    REALM_LAUNCH(Threshold, count, 512, 0, stream, choice);
    REALM_LAUNCH(collect, warps, 128, 0, stream, choice);
    REALM_LAUNCH(score, dim3(16, count), 256, 0, stream, choice);
    REALM_LAUNCH(Sort, count, 256, kMaxCandidates * sizeof(uint64_t), stream, choice);
    error = LastError();
  }
  return error;
}

}  // namespace realm::gpu

#endif  // REALM_OPS_TOP_K_GPU_LAUNCH_H_
