#include "pipeline/trace/choice_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

namespace evenkeel {

ChoiceRows::ChoiceRows(std::string where, std::size_t rounds, std::size_t top_k, const ReadOptions& options)
    : where_(std::move(where)),
      rounds_(rounds),
      top_k_(top_k),
      first_null_(options.experts.value_or(kExpertsMax)),
      end_(first_null_ + (options.experts ? options.null_experts : 0)),
      same_row_(top_k) {
  const std::size_t block = std::max<std::size_t>(1, kBlockIds / top_k) * top_k;
  for (std::size_t distance = 1; distance < top_k; ++distance) {
    same_row_[distance].resize(block);
    for (std::size_t i = 0; i < block; ++i) same_row_[distance][i] = i % top_k + distance < top_k ? 0xFFFF : 0;
  }
}

bool ChoiceRows::has_repeat(std::span<const ExpertIndex> rows) const {
  unsigned repeats = 0;
  for (std::size_t distance = 1; distance < top_k_; ++distance) {
    const ExpertIndex* const left = rows.data();
    const ExpertIndex* const right = rows.data() + distance;
    const ExpertIndex* const mask = same_row_[distance].data();
    ExpertIndex found = 0;
    for (std::size_t i = 0; i < rows.size() - distance; ++i) {
      const auto equal = static_cast<ExpertIndex>(left[i] == right[i] ? 0xFFFF : 0);
      found = static_cast<ExpertIndex>(found | (equal & mask[i]));
    }
    repeats |= found;
  }
  return repeats != 0;
}

template <class T>
Status ChoiceRows::append_row(std::span<const T> row, std::size_t row_number, std::vector<ExpertIndex>& out) const {
  const std::size_t first = out.size();
  const std::size_t token = row_number / rounds_;
  const std::size_t round = row_number % rounds_;
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
      return invalid_input(
          end_ == kExpertsMax
              ? fmt::format("{}[{}, {}, {}] is {}; give an expert from 0 to {}, or -1 for none", where_, token, round,
                            choice, id, kExpertsMax - 1)
              : fmt::format("{}[{}, {}, {}] names expert {} but the model has {} experts; check --experts or the trace",
                            where_, token, round, choice, id, first_null_));
    }
    const auto expert = static_cast<ExpertIndex>(number);
    if (std::find(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), expert) != out.end()) {
      return invalid_input(
          fmt::format("{}[{}, {}] names expert {} twice; a token chooses an expert at most once a round", where_, token,
                      round, id));
    }
    out.push_back(expert);
  }
  return {};
}

template <class T>
Status ChoiceRows::append(std::span<const T> ids, std::size_t first_row, std::vector<ExpertIndex>& out) {
  const std::size_t block = std::max<std::size_t>(1, kBlockIds / top_k_) * top_k_;
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
    if (is_plain && !has_repeat({converted, part.size()})) continue;
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
