#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Turns recorded top-k choices into ExpertIndex, holding each row (one token in one round) against the rules: ids from
/// -1 (none) to the last expert, null experts as none, no expert twice. A row of equal ids stays as it is: it was not
/// recorded (NotRecorded). Not thread-safe.
class ChoiceRows {
 public:
  /// Which index of the recorded array comes first, for messages.
  enum class Order { kTokenRound, kRoundToken };
  /// `where` names file and field in messages, as in "t.npz: ids".
  ChoiceRows(std::string where, std::size_t rounds, std::size_t top_k, const ReadOptions& options,
             Order order = Order::kTokenRound);

  /// Appends rows [rows, top_k] of ids, the first of which is row `first_row` of the recording (token * rounds +
  /// round). T is any integer type of 1, 2, 4 or 8 bytes. Fails with kInvalidInput, naming token, round and choice.
  template <class T>
  [[nodiscard]] Status append(std::span<const T> ids, std::size_t first_row, std::vector<ExpertIndex>& out);

 private:
  /// Rows are checked in blocks that stay in the first-level cache.
  static constexpr std::size_t kBlockIds = 4096;

  template <class T>
  Status append_row(std::span<const T> row, std::size_t row_number, std::vector<ExpertIndex>& out) const;
  /// A row in messages, as in "t.npz: ids[2, 0"; the choice and a bracket may follow.
  [[nodiscard]] std::string row_place(std::size_t row_number) const;

  std::string where_;
  Order order_;
  std::size_t rounds_;
  std::size_t top_k_;
  /// First id that is a null expert, and the first beyond them.
  std::uint64_t first_null_;
  std::uint64_t end_;
  /// For each distance d up to top_k - 1, all ones where an id and the one d further on are of one row [top_k, block].
  std::vector<std::vector<std::uint8_t>> same_row_bytes_;
  std::vector<std::vector<ExpertIndex>> same_row_;
};

}  // namespace evenkeel
