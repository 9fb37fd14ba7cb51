#include "pipeline/trace/choice_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "pipeline/trace/reading.h"

namespace evenkeel {

namespace {

template <class Id>
using RowMasks = std::vector<std::vector<Id>>;

template <class Id>
RowMasks<Id> row_masks(std::size_t top_k, std::size_t block) {
  RowMasks<Id> masks(top_k);
  for (std::size_t distance = 1; distance < top_k; ++distance) {
    masks[distance].resize(block);
    for (std::size_t i = 0; i < block; ++i) {
      masks[distance][i] = i % top_k + distance < top_k ? std::numeric_limits<Id>::max() : Id{0};
    }
  }
  return masks;
}

/// Whether any row of whole rows names a value twice: each id is held against the one `distance` further on, for all
/// distances, where both are of one row.
template <class Id>
[[gnu::always_inline]] inline bool find_repeat(std::span<const Id> rows, const RowMasks<Id>& masks) {
  Id found = 0;
  for (std::size_t distance = 1; distance < masks.size(); ++distance) {
    const Id* const left = rows.data();
    const Id* const right = rows.data() + distance;
    const Id* const mask = masks[distance].data();
    for (std::size_t i = 0; i < rows.size() - distance; ++i) {
      const auto equal = static_cast<Id>(left[i] == right[i] ? std::numeric_limits<Id>::max() : 0);
      found = static_cast<Id>(found | (equal & mask[i]));
    }
  }
  return found != 0;
}

#ifdef __x86_64__
template <class Id>
[[gnu::target("avx2")]] bool find_repeat_avx2(std::span<const Id> rows, const RowMasks<Id>& masks) {
  return find_repeat(rows, masks);
}
#endif

/// Twice as fast with AVX2, which not every x86-64 has: 1.2 instead of 2.4 ns a row of six 16-bit ids.
template <class Id>
bool has_repeat(std::span<const Id> rows, const RowMasks<Id>& masks) {
#ifdef __x86_64__
  static const bool has_avx2 = __builtin_cpu_supports("avx2") > 0;
  if (has_avx2) return find_repeat_avx2(rows, masks);
#endif
  return find_repeat(rows, masks);
}

std::size_t block_of(std::size_t block_ids, std::size_t top_k) {
  return std::max<std::size_t>(1, block_ids / top_k) * top_k;
}

}  // namespace

ChoiceRows::ChoiceRows(std::string where, std::size_t rounds, std::size_t top_k, const ReadOptions& options,
                       Order order)
    : where_(std::move(where)),
      order_(order),
      rounds_(rounds),
      top_k_(top_k),
      first_null_(options.experts.value_or(kExpertsMax)),
      end_(first_null_ + (options.experts ? options.null_experts : 0)),
      same_row_bytes_(row_masks<std::uint8_t>(top_k, block_of(kBlockIds, top_k))),
      same_row_(row_masks<ExpertIndex>(top_k, block_of(kBlockIds, top_k))) {}

std::string ChoiceRows::row_place(std::size_t row_number) const {
  const std::size_t token = row_number / rounds_;
  const std::size_t round = row_number % rounds_;
  const bool is_token_first = order_ == Order::kTokenRound;
  return fmt::format("{}[{}, {}", where_, is_token_first ? token : round, is_token_first ? round : token);
}

template <class T>
Status ChoiceRows::append_row(std::span<const T> row, std::size_t row_number, std::vector<ExpertIndex>& out) const {
  const std::size_t first = out.size();
  const bool is_unrecorded =
      row.size() > 1 && std::all_of(row.begin(), row.end(), [&](T id) { return id == row.front(); });
  for (std::size_t choice = 0; choice < row.size(); ++choice) {
    const T id = row[choice];
    const bool is_none = std::is_signed_v<T> && id == static_cast<T>(-1);
    // A negative id becomes one far above every expert.
    const auto number = static_cast<std::uint64_t>(id);
    if (is_none || (number >= first_null_ && number < end_)) {
      out.push_back(kNoExpert);
      continue;
    }
    if (number >= end_) {
      const std::string where = fmt::format("{}, {}]", row_place(row_number), choice);
      if (end_ == kExpertsMax) {
        return invalid_input(
            fmt::format("{} is {}; give an expert from 0 to {}, or -1 for none", where, id, kExpertsMax - 1));
      }
      return invalid_input(fmt::format("{} names expert {} but the model has {} experts; check experts or the trace{}",
                                       where, id, first_null_, fused_expert_hint(number + 1, first_null_)),
                           {"experts"});
    }
    const auto expert = static_cast<ExpertIndex>(number);
    const auto row_start = out.begin() + static_cast<std::ptrdiff_t>(first);
    if (!is_unrecorded && std::find(row_start, out.end(), expert) != out.end()) {
      return invalid_input(
          fmt::format("{}] names expert {} twice; a token chooses an expert at most once a round: give -1 where a "
                      "choice is empty, or the model if the row is of a dense layer",
                      row_place(row_number), id),
          {"model"});
    }
    out.push_back(expert);
  }
  return {};
}

template <class T>
Status ChoiceRows::append(std::span<const T> ids, std::size_t first_row, std::vector<ExpertIndex>& out) {
  const std::size_t block = block_of(kBlockIds, top_k_);
  for (std::size_t start = 0; start < ids.size(); start += block) {
    const auto part = ids.subspan(start, std::min(block, ids.size() - start));
    const std::size_t old_size = out.size();
    out.resize(old_size + part.size());
    ExpertIndex* const converted = out.data() + old_size;
    T largest = 0;
    T smallest = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      largest = std::max(largest, part[i]);
      smallest = std::min(smallest, part[i]);
      converted[i] = static_cast<ExpertIndex>(part[i]);
    }
    const bool is_plain = smallest == 0 && static_cast<std::uint64_t>(largest) < first_null_;
    bool repeats = false;
    if constexpr (std::is_same_v<T, std::uint8_t>) {
      repeats = has_repeat(part, same_row_bytes_);
    } else {
      repeats = has_repeat(std::span<const ExpertIndex>(converted, part.size()), same_row_);
    }
    if (is_plain && !repeats) continue;
    out.resize(old_size);
    for (std::size_t i = 0; i < part.size(); i += top_k_) {
      EVENKEEL_TRY_STATUS(append_row(part.subspan(i, top_k_), first_row + (start + i) / top_k_, out));
    }
  }
  return {};
}

template Status ChoiceRows::append(std::span<const std::int8_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::int16_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::int32_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::int64_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::uint8_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::uint16_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::uint32_t>, std::size_t, std::vector<ExpertIndex>&);
template Status ChoiceRows::append(std::span<const std::uint64_t>, std::size_t, std::vector<ExpertIndex>&);

}  // namespace evenkeel
