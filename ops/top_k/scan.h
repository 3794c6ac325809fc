// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// What a scan kernel is. One is compiled per instruction set, each in a source
// file with its own compiler flags; such a file must not use inline functions
// of the standard library, as the linker might keep the copy that only newer
// CPUs can run.

#ifndef REALM_OPS_TOP_K_SCAN_H_
#define REALM_OPS_TOP_K_SCAN_H_

#include <cstdint>

namespace realm {

enum class Element { kFloat32, kBfloat16 };

constexpr int BytesOf(Element element) {
  return element == Element::kFloat32 ? 4 : 2;
}

// Queries side by side in a strip of a panel; rows that share one norm bound.
constexpr int kStrip = 16;
constexpr int kMaxStrips = 3;

// Matrix tiles take 32 bfloat16 values at a time.
constexpr int kTileDepth = 32;

// Rows of the table, in the form that the scanner reads.
struct RowBlock {
  const void* rows;
  int64_t stride;  // in elements
  int64_t count;   // a multiple of kStrip: rows beyond the table are zero
  float* squares;  // [count / kStrip]: no squared norm, as computed, exceeds it
  float* reach;    // [count / kStrip], a proven bound on the norms
};

// Up to kMaxStrips strips of queries. A float scanner reads
// float [depth, 16 strips], a rounding one
// bfloat16 [depth / 32, strips, 16 pairs, 16 queries, 2], zero-padded.
struct Panel {
  const void* queries;
  int strips;
  const float* cut;    // [16 strips]; rises while the scan runs
  const float* slope;  // [16 strips]
  // What is read next, to be brought to the cache meanwhile.
  const char* fetch;
  int64_t fetch_bytes;
};

// Pairs of rows of a block and lanes, and their s'. As many as a group of rows can have,
// and room for a vector of which only the beginning counts.
constexpr int kMaxHits = 1024;
struct Hits {
  int count = 0;
  int32_t pairs[kMaxHits + kStrip];  // 256 row + lane
  float scores[kMaxHits + kStrip];
};

// Told of all pairs whose s' is not below the cut less what s' may err by, a group of
// rows at a time, the rows of a lane in ascending order. May raise the cut.
struct HitSink {
  void (*take)(void* self, const Hits& hits);
  void* self;
};

// So few queries are scanned row by row, without panels, so many rows at a time.
constexpr int kMaxFew = 4;
constexpr int64_t kMaxBlockRows = 4096;

// Up to kMaxFew queries, each padded with zeros to a multiple of 32 values. For a
// bfloat16 table the even values come first, then the odd ones.
template <typename T>
struct FewQueries {
  const T* queries;  // [count, stride]
  int64_t stride;
  int count;
};

// Codes of a shadow table (see shadow.h) and of a query.
constexpr int kCodeAlignment = 32;

struct Scanner {
  bool rounds;  // to bfloat16
  int max_strips;

  // Prepares a thread, and sets it free again. Null if there is nothing to do.
  void (*enter)();
  void (*leave)();

  // Makes block->rows of `count` rows, in place or in `scratch`, and fills
  // block->squares.
  void (*load)(const void* rows, Element element, int64_t count, int64_t depth,
               void* scratch, RowBlock* block);

  void (*scan)(const RowBlock& block, int64_t depth, const Panel& panel,
               const HitSink& sink);

  // The rest is null in a scanner that rounds.

  // s' of `rows` rows for few queries: scores [queries.count, kMaxBlockRows].
  // Returns what no squared norm, as computed, exceeds.
  float (*score)(const void* table, Element element, int64_t rows, int64_t depth,
                 const FewQueries<float>& queries, float* scores);

  // Inner products [queries.count, kMaxBlockRows] of codes [rows, stride], stride
  // a multiple of kCodeAlignment; they fit into 32 bits.
  void (*score_codes)(const int8_t* codes, int64_t rows,
                      const FewQueries<int16_t>& queries, int32_t* products);

  // Reports the rows of one lane that are not below *cut - allowances[row].
  void (*filter)(const float* scores, const float* allowances, int64_t rows,
                 const float* cut, int lane, const HitSink& sink);

  // The sum of query[d] * row[d] in double: products d = 0, 16, 32 ... go to
  // the first of sixteen sums, 1, 17, 33 ... to the second, and so on; then the
  // upper half of the sums is added to the lower, four times. The products are
  // exact, so fused and separate arithmetic give the same bits. `query` is
  // padded with zeros to a multiple of 16.
  double (*dot)(const double* query, const void* row, Element element,
                int64_t depth);
};

extern const Scanner kPortableScanner;
#if defined(__x86_64__)
extern const Scanner kAvx2Scanner;
extern const Scanner kAvx512Scanner;
extern const Scanner kAvx512Bf16Scanner;
extern const Scanner kAmxScanner;
#endif

}  // namespace realm

#endif  // REALM_OPS_TOP_K_SCAN_H_
