// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/top_k/banned_rows.h"

#include <algorithm>

namespace realm {

template <typename Int>
BannedRows BannedRows::From(const Int* banned, int64_t batch, int64_t width,
                            int64_t rows) {
  BannedRows result;
  result.begin_.reserve(batch + 1);
  result.begin_.push_back(0);
  std::vector<int32_t>& all = result.rows_;
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t begin = all.size();
    for (const Int* row = banned; row != banned + width; ++row) {
      if (*row >= 0 && *row < rows) all.push_back(static_cast<int32_t>(*row));
    }
    banned += width;
    std::sort(all.begin() + begin, all.end());
    all.erase(std::unique(all.begin() + begin, all.end()), all.end());
    result.begin_.push_back(all.size());
  }
  return result;
}

template BannedRows BannedRows::From(const int32_t*, int64_t, int64_t, int64_t);
template BannedRows BannedRows::From(const int64_t*, int64_t, int64_t, int64_t);

BannedRows BannedRows::Of(const std::vector<int64_t>& queries) const {
  BannedRows result;
  result.begin_.push_back(0);
  for (int64_t q : queries) {
    result.rows_.insert(result.rows_.end(), rows_.begin() + begin_[q],
                        rows_.begin() + begin_[q + 1]);
    result.begin_.push_back(result.rows_.size());
  }
  return result;
}

}  // namespace realm
