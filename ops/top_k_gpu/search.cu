// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k_gpu/launch.h"

namespace realm::gpu {
namespace {

// Queries at a time, in eights, and stages; 0 if not even the least fits.
struct Fit {
  int tiles, stages;
};

constexpr int kWarps = 8;

// Three numbers of stages, for what shared memory leaves: six for rows of 128 on Hopper, less
// for longer rows and smaller cards.

Fit FitOf(const Search& s, const Device& device) {
  int tiles = 8;
  while (tiles > 1 && tiles * 4 >= s.batch) tiles /= 2;
  for (; tiles > 0; tiles /= 2) {
    for (int stages : {6, 4, 2}) {
      const size_t of_stages = static_cast<size_t>(kWarps) * stages * kStageBytes;
      if (SharedBytes(s, tiles, of_stages) <= device.shared_bytes) return {tiles, stages};
    }
  }
  return {0, 0};
}

template <typename T, int NT>
int StartStages(const Search& s, const Device& device, int stages, void* workspace,
                Stream stream) {
  if (stages == 6) return Launch<T, NT, Shape<kWarps, 6>>(s, device, workspace, stream);
  if (stages == 4) return Launch<T, NT, Shape<kWarps, 4>>(s, device, workspace, stream);
  return Launch<T, NT, Shape<kWarps, 2>>(s, device, workspace, stream);
}

template <typename T>
int StartTiles(const Search& s, const Device& device, void* workspace, Stream stream) {
  const Fit fit = FitOf(s, device);
  switch (fit.tiles) {
    case 8: return StartStages<T, 8>(s, device, fit.stages, workspace, stream);
    case 4: return StartStages<T, 4>(s, device, fit.stages, workspace, stream);
    case 2: return StartStages<T, 2>(s, device, fit.stages, workspace, stream);
    case 1: return StartStages<T, 1>(s, device, fit.stages, workspace, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace

size_t WorkspaceBytes(const Search& s, const Device& device) {
  const int64_t row_bytes = s.depth * (s.is_bfloat16 ? 2 : 4);
  if (s.batch < 1 || s.rows < 1 || s.rows > INT32_MAX || s.depth < 1 ||
      s.depth > kMaxDepth || row_bytes % kPieceBytes != 0 || s.width < 1 ||
      s.width > kMaxWidth || s.width > s.rows ||
      reinterpret_cast<uintptr_t>(s.table) % kPieceBytes != 0) {
    return 0;
  }
  const Fit fit = FitOf(s, device);
  if (fit.tiles == 0) return 0;
  return PlanOf(s, 8 * fit.tiles, device.processors * kWarps, nullptr).bytes;
}

int Start(const Search& s, const Device& device, void* workspace, void* stream) {
  const auto of_cuda = static_cast<Stream>(stream);
  const int error = s.is_bfloat16 ? StartTiles<Bfloat16>(s, device, workspace, of_cuda)
                                  : StartTiles<float>(s, device, workspace, of_cuda);
  if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction) {
    return error;
  }
  cudaGetLastError();  // a card older than the kernels were compiled for: forgotten
  return Refuse(s, stream);
}

int Refuse(const Search& s, void* stream) {
  return cudaMemsetAsync(s.problem, 1, sizeof(*s.problem), static_cast<Stream>(stream));
}

int Describe(Device* device) {
  int which = 0, processors = 0, bytes = 0;
  int error = cudaGetDevice(&which);
  if (error == 0) {
    error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, which);
  }
  if (error == 0) {
    error = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, which);
  }
  *device = {processors, static_cast<size_t>(bytes)};
  return error;
}

const char* MessageOf(int error) {
  return cudaGetErrorString(static_cast<cudaError_t>(error));
}

}  // namespace realm::gpu
