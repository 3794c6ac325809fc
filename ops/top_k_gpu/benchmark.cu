// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Checks the search on a GPU against sums in double precision, then measures it; needs
// nothing but a driver:
//
//   make gpu-benchmark
//   build/gpu_benchmark          both
//   build/gpu_benchmark check    or one of them
//   build/gpu_benchmark time

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "ops/top_k_gpu/launch.h"

namespace realm::gpu {
namespace {

void Must(int error, const char* what) {
  if (error == 0) return;
  std::printf("FAIL: %s: %s\n", what, cudaGetErrorString(static_cast<cudaError_t>(error)));
  std::exit(1);
}

template <typename T>
struct Buffer {
  T* data = nullptr;
  explicit Buffer(size_t count) { Must(cudaMalloc(&data, count * sizeof(T)), "memory"); }
  ~Buffer() { cudaFree(data); }
  Buffer(const Buffer&) = delete;
};

template <typename T>
std::vector<T> Fetch(const T* from, size_t count) {
  std::vector<T> values(count);
  Must(cudaMemcpy(values.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost), "fetch");
  return values;
}

enum Kind { kNormal, kAlike, kPositive, kTies, kNan, kInfinite, kLarge, kTiny, kLong };
const char* const kKinds[] = {"normal",   "alike", "positive", "ties", "NaN",
                              "infinite", "large", "tiny",     "long rows"};

__device__ uint32_t Hash(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdull;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return static_cast<uint32_t>(x >> 32);
}

__device__ float Normal(uint64_t i, uint64_t seed) {
  const float u = (Hash(2 * i + seed) + 1.0f) * 0x1p-32f;
  const float v = Hash(2 * i + 1 + seed) * 0x1p-32f;
  return sqrtf(-2 * logf(fminf(u, 1.0f))) * cospif(2 * v);
}

__device__ void Store(float* to, float x) { *to = x; }
__device__ void Store(Bfloat16* to, float x) {
  to->bits = static_cast<uint16_t>(PackBfloat16(x, 0));
}

template <typename T>
__global__ void Fill(T* to, int64_t rows, int depth, Kind kind, uint64_t seed) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
       i < rows * depth; i += step) {
    int64_t row = i / depth;
    const int64_t column = i % depth;
    if (kind == kTies && row % 7 == 3) row = 3;
    float x = Normal(row * depth + column, seed);
    if (kind == kAlike) x = Normal(column, seed) + x * 0.03f;
    if (kind == kPositive) x = 1.0f + fminf(fabsf(x), 3.9f) * 0.25f;
    if (kind == kNan && row == rows / 2 && column == 1) x = NAN;
    if (kind == kInfinite && row == rows / 2 && column == 1) x = INFINITY;
    if (kind == kLarge) x *= 1e30f;
    if (kind == kTiny) x *= 1e-30f;
    if (kind == kLong && row % 100 == 7) x *= 1000;
    Store(to + i, x);
  }
}

// In the order of `Scanner::dot`.
template <typename T>
__global__ void Truth(const float* query, const T* table, int64_t rows, int depth,
                      double* sums) {
  const int64_t row = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (row >= rows) return;
  double part[16] = {};
  for (int i = 0; i < depth; i += 16) {
    for (int j = 0; j < 16; ++j) {
      if (i + j < depth) {
        part[j] += static_cast<double>(query[i + j]) * Element(table + row * depth, i + j);
      }
    }
  }
  for (int half = 8; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) part[j] += part[j + half];
  }
  sums[row] = part[0];
}

template <typename T>
std::vector<double> TruthOf(const float* query, const T* table, int64_t rows, int depth) {
  Buffer<double> sums(rows);
  Truth<<<(rows + 127) / 128, 128>>>(query, table, rows, depth, sums.data);
  return Fetch(sums.data, rows);
}

Device OfThis() {
  Device device;
  Must(Describe(&device), "device");
  return device;
}

template <typename T>
Search SearchOf(const float* queries, const T* table, int64_t batch, int64_t rows, int depth,
                int width, float* scores, int32_t* best, int32_t* problem) {
  return {queries, table, sizeof(T) == 2, batch, rows, depth, width, scores, best, problem};
}

// How many of the answer's places are not those of a full sort.
int Wrong(const std::vector<double>& sums, int width, const float* scores,
          const int32_t* best) {
  std::vector<std::pair<float, int32_t>> all(sums.size());
  for (size_t r = 0; r < sums.size(); ++r) {
    const float score = static_cast<float>(sums[r]);
    all[r] = {score == 0 ? 0.0f : -score, static_cast<int32_t>(r)};
  }
  std::partial_sort(all.begin(), all.begin() + width, all.end());
  int wrong = 0;
  for (int i = 0; i < width; ++i) {
    wrong += all[i].second != best[i] || -all[i].first != scores[i];
  }
  return wrong;
}

template <typename T, int NT, typename Shape>
int Check(Kind kind, int batch, int64_t rows, int depth, int width, Kind of_queries = kNormal) {
  Buffer<T> table(rows * depth);
  Buffer<float> queries(batch * depth), scores(batch * width);
  Buffer<int32_t> best(batch * width), problem(1);
  Fill<<<1024, 256>>>(table.data, rows, depth, kind, 1000003);
  Fill<<<64, 256>>>(queries.data, batch, depth, of_queries, 77);
  const Device device = OfThis();
  const Search search = SearchOf(queries.data, table.data, batch, rows, depth, width,
                                 scores.data, best.data, problem.data);
  const int warps = device.processors * Shape::kWarps;
  Buffer<char> workspace(PlanOf(search, 8 * NT, warps, nullptr).bytes);
  Must(Launch<T, NT, Shape>(search, device, workspace.data, nullptr), "launch");
  Must(cudaDeviceSynchronize(), kKinds[kind]);
  const bool refused = Fetch(problem.data, 1)[0];
  const auto got = Fetch(scores.data, batch * width);
  const auto rows_got = Fetch(best.data, batch * width);
  const Choice c = PlanOf(search, 8 * NT, warps, workspace.data).choice;
  const int64_t groups = (rows + kGroupRows - 1) / kGroupRows;
  const auto maxima = Fetch(c.maxima, groups * 8 * NT);
  const auto reach = Fetch(c.reach, groups), slopes = Fetch(c.slopes, 8 * NT);
  const auto exponents = Fetch(c.exponents, 8 * NT);
  const auto candidates = Fetch(c.num_groups, 8 * NT);
  int wrong = 0, most = 0;
  double worst = 0;
  const int last = (batch - 1) / (8 * NT) * 8 * NT;  // whose scan the workspace still has
  for (int q = 0; q < batch; ++q) {
    if (batch > 8 && q % 5 != 0 && q != batch - 1) continue;
    const auto sums = TruthOf(queries.data + q * depth, table.data, rows, depth);
    if (!refused) wrong += Wrong(sums, width, &got[q * width], &rows_got[q * width]);
    if (q < last) continue;
    most = std::max(most, candidates[q - last]);
    for (int64_t g = 0; g < groups; ++g) {
      double top = -INFINITY;
      for (int64_t r = g * kGroupRows; r < std::min(rows, (g + 1) * kGroupRows); ++r) {
        top = std::max(top, sums[r]);
      }
      const double far = std::fabs(std::ldexp(top, -exponents[q - last]) -
                                   maxima[g * 8 * NT + q - last]);
      const double bound = static_cast<double>(slopes[q - last]) * reach[g];
      if (far / bound > worst) worst = far / bound;
    }
  }
  const bool must_refuse = kind == kNan;
  const bool bad = wrong > 0 || worst > 1 || (must_refuse && !refused);
  std::printf("%s %-9s x %-8s B %3d N %8ld D %4d W %4d %s columns %2d shape %dx%d: %d wrong, "
              "%s, error %.4f of its bound, up to %d groups\n",
              bad ? "FAIL" : "ok  ", kKinds[kind], kKinds[of_queries], batch, (long)rows,
              depth, width, sizeof(T) == 4 ? "f32 " : "bf16", 8 * NT, Shape::kWarps,
              Shape::kStages, wrong, refused ? "refused" : "answered", worst, most);
  std::fflush(stdout);
  return bad;
}

template <typename T>
int CheckAll() {
  using S = Shape<8, 6>;
  int failed = 0;
  failed += Check<T, 8, S>(kNormal, 64, 100001, 128, 8);
  failed += Check<T, 8, Shape<8, 4>>(kNormal, 64, 100001, 128, 8);
  failed += Check<T, 8, Shape<8, 2>>(kNormal, 64, 100001, 128, 8);
  failed += Check<T, 8, S>(kNormal, 150, 54321, 64, 50);
  failed += Check<T, 4, S>(kNormal, 31, 99990, 200, 8);
  failed += Check<T, 2, Shape<8, 4>>(kNormal, 16, 40000, 768, 300);
  failed += Check<T, 1, S>(kNormal, 1, 777777, 128, 1000);
  failed += Check<T, 1, S>(kNormal, 7, 33, 8, 33);
  failed += Check<T, 1, S>(kTies, 5, 20001, 128, 100);
  failed += Check<T, 1, S>(kNan, 5, 20001, 128, 10);
  failed += Check<T, 1, S>(kInfinite, 5, 20001, 128, 10);
  failed += Check<T, 1, S>(kLarge, 5, 20001, 128, 10);
  failed += Check<T, 1, S>(kLarge, 5, 20001, 128, 10, kLarge);
  failed += Check<T, 1, S>(kTiny, 5, 20001, 128, 10, kTiny);
  failed += Check<T, 1, S>(kLong, 5, 20001, 128, 10);
  failed += Check<T, 1, S>(kAlike, 5, 200001, 128, 10, kAlike);
  failed += Check<T, 1, S>(kPositive, 5, 200001, 128, 10, kPositive);
  failed += Check<T, 1, S>(kPositive, 5, 20001, 1024, 10, kPositive);
  return failed;
}

// Milliseconds of `run`, the median of some, after one.
template <typename Run>
float Median(Run run, int repeats = 9) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin), cudaEventCreate(&end);
  std::vector<float> all;
  for (int i = 0; i <= repeats; ++i) {
    cudaEventRecord(begin);
    run();
    cudaEventRecord(end);
    Must(cudaEventSynchronize(end), "run");
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    if (i > 0) all.push_back(ms);
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

template <typename T, int NT, typename Shape>
int Time(const float* queries, const T* table, int batch, int64_t rows, bool check) {
  constexpr int kDepth = 128, kWidth = 8;
  Buffer<float> scores(batch * kWidth);
  Buffer<int32_t> best(batch * kWidth), problem(1);
  const Device device = OfThis();
  const Search search = SearchOf(queries, table, batch, rows, kDepth, kWidth, scores.data,
                                 best.data, problem.data);
  const int warps = device.processors * Shape::kWarps;
  Buffer<char> workspace(PlanOf(search, 8 * NT, warps, nullptr).bytes);
  const float whole = Median([&] {
    Must(Launch<T, NT, Shape>(search, device, workspace.data, nullptr), "launch");
  });
  const Plan plan = PlanOf(search, 8 * NT, warps, workspace.data);
  const float scan = Median([&] {
    Scan<T, NT, Shape::kWarps, Shape::kStages>
        <<<device.processors, Shape::kWarps * 32, SharedBytes(search, NT, Shape::kBytes)>>>(
            plan.scanned);
  });
  int wrong = Fetch(problem.data, 1)[0] != 0;
  if (check) {
    const auto got = Fetch(scores.data, batch * kWidth);
    const auto rows_got = Fetch(best.data, batch * kWidth);
    for (int q = 0; q < std::min(batch, 2); ++q) {
      const auto sums = TruthOf(queries + q * kDepth, table, rows, kDepth);
      wrong += Wrong(sums, kWidth, &got[q * kWidth], &rows_got[q * kWidth]);
    }
  }
  const double bytes = static_cast<double>(rows) * kDepth * sizeof(T);
  std::printf("%s %s N %8ld B %2d columns %2d shape %2dx%-2d: search %7.3f ms, its scan %7.3f "
              "ms, %5.0f GB/s%s\n",
              wrong ? "FAIL" : "    ", sizeof(T) == 4 ? "f32 " : "bf16", (long)rows, batch,
              8 * NT, Shape::kWarps, Shape::kStages, whole, scan, bytes / scan * 1e-6,
              check ? (wrong ? ", WRONG" : ", equals double precision") : "");
  std::fflush(stdout);
  return wrong != 0;
}

__global__ void Read(const uint4* from, int64_t count, uint32_t* to) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  uint32_t all = 0;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += 4 * step) {
    uint4 x[4] = {};
    for (int j = 0; j < 4; ++j) {
      if (i + j * step < count) x[j] = from[i + j * step];
    }
    for (int j = 0; j < 4; ++j) all ^= x[j].x ^ x[j].y ^ x[j].z ^ x[j].w;
  }
  if (all == 1) *to = all;
}

template <typename T>
int TimeAll(int64_t rows) {
  Buffer<T> table(rows * 128);
  Buffer<float> queries(64 * 128);
  Buffer<uint32_t> word(1);
  Fill<<<4096, 256>>>(table.data, rows, 128, kNormal, 1000003);
  Fill<<<64, 256>>>(queries.data, 64, 128, kNormal, 77);
  const int64_t pieces = rows * 128 * sizeof(T) / 16;
  const float floor = Median([&] {
    Read<<<OfThis().processors * 8, 256>>>(reinterpret_cast<const uint4*>(table.data), pieces,
                                          word.data);
  });
  std::printf("%s N %8ld: read once in %.3f ms, %.0f GB/s\n",
              sizeof(T) == 4 ? "f32 " : "bf16", (long)rows, floor, pieces * 16 / floor * 1e-6);
  int failed = 0;
  const T* t = table.data;
  const float* q = queries.data;
  failed += Time<T, 8, Shape<8, 6>>(q, t, 64, rows, true);
  failed += Time<T, 8, Shape<8, 4>>(q, t, 64, rows, false);
  failed += Time<T, 8, Shape<12, 4>>(q, t, 64, rows, false);
  failed += Time<T, 4, Shape<8, 6>>(q, t, 32, rows, false);
  failed += Time<T, 1, Shape<8, 6>>(q, t, 1, rows, true);
  failed += Time<T, 1, Shape<8, 6>>(q, t, 8, rows, false);
  return failed;
}

int Main(const std::string& what) {
  cudaDeviceProp properties;
  Must(cudaGetDeviceProperties(&properties, 0), "device");
  std::printf("%s, %d processors, %zu KB for a block\n", properties.name,
              properties.multiProcessorCount, properties.sharedMemPerBlockOptin / 1024);
  int failed = 0;
  const auto begun = std::chrono::steady_clock::now();
  if (what != "time") failed += CheckAll<float>() + CheckAll<Bfloat16>();
  if (what != "check") {
    for (int64_t rows : {1000000L, 13353718L}) {
      failed += TimeAll<float>(rows) + TimeAll<Bfloat16>(rows);
    }
  }
  std::printf("%d failed; %.1f s\n", failed,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return failed > 0;
}

}  // namespace
}  // namespace realm::gpu

int main(int argc, char** argv) { return realm::gpu::Main(argc > 1 ? argv[1] : "all"); }
