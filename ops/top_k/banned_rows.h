// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#ifndef REALM_OPS_TOP_K_BANNED_ROWS_H_
#define REALM_OPS_TOP_K_BANNED_ROWS_H_

#include <cstdint>
#include <vector>

namespace realm {

// The rows that each query must not get: sorted, distinct, in the table.
class BannedRows {
 public:
  // `banned` is [batch, width]; whatever is not in [0, rows) bans nothing.
  template <typename Int>
  static BannedRows From(const Int* banned, int64_t batch, int64_t width,
                         int64_t rows);

  // Those of some of the queries.
  BannedRows Of(const std::vector<int64_t>& queries) const;

  int64_t Count(int64_t query) const {
    return begin_[query + 1] - begin_[query];
  }
  const int32_t* Begin(int64_t query) const { return rows_.data() + begin_[query]; }
  const int32_t* End(int64_t query) const { return rows_.data() + begin_[query + 1]; }

 private:
  std::vector<int32_t> rows_;
  std::vector<int64_t> begin_;
};

}  // namespace realm

#endif  // REALM_OPS_TOP_K_BANNED_ROWS_H_
