#include "pipeline/trace/not_recorded.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace evenkeel {
namespace {

constexpr const char* kZeroFilled = "all choices are one expert, as in a zero-filled array";

}  // namespace

void NotRecorded::begin(const std::string& path, const RecordingHeader& header) {
  if (files_++ == 0) path_ = path;
  header_ = header;
  rounds_.resize(std::max(rounds_.size(), header.layer_of_round.size()));
}

bool NotRecorded::is_unrecorded(std::span<const ExpertIndex> row) const {
  return row[0] != kNoExpert && std::ranges::all_of(row, [&](ExpertIndex expert) { return expert == row[0]; });
}

bool NotRecorded::find_unrecorded(std::span<const ExpertIndex> experts) {
  const std::size_t top_k = header_.top_k;
  const std::size_t rounds = header_.layer_of_round.size();
  bool found = false;
  std::size_t round = 0;
  for (std::size_t i = 0; i < experts.size(); i += top_k) {
    // Two different ids are two choices; two equal ones are both missing, or of a row that was never written.
    if (experts[i] != experts[i + 1]) {
      rounds_[round].is_recorded = true;
    } else if (experts[i] != kNoExpert) {
      found = true;
    } else if (!rounds_[round].is_recorded) {
      rounds_[round].is_recorded =
          std::ranges::any_of(experts.subspan(i, top_k), [](ExpertIndex expert) { return expert != kNoExpert; });
    }
    if (++round == rounds) round = 0;
  }
  return found;
}

void NotRecorded::add_token(std::span<const ExpertIndex> token) {
  const std::size_t top_k = header_.top_k;
  std::size_t unrecorded = 0;
  bool is_recorded = false;
  const std::size_t start = kept_.size();
  for (std::size_t i = 0; i < token.size(); i += top_k) {
    const auto row = token.subspan(i, top_k);
    const bool is_missing = is_unrecorded(row);
    unrecorded += is_missing ? 1 : 0;
    is_recorded =
        is_recorded || (!is_missing && std::ranges::any_of(row, [](auto expert) { return expert != kNoExpert; }));
    for (const ExpertIndex expert : row) kept_.push_back(is_missing ? kNoExpert : expert);
  }
  if (unrecorded > 0 && !is_recorded) {
    kept_.resize(start);
    ++left_out_tokens_;
    return;
  }
  for (std::size_t i = 0; i < token.size(); i += top_k) {
    if (unrecorded > 0 && is_unrecorded(token.subspan(i, top_k))) ++rounds_[i / top_k].unrecorded_tokens;
  }
}

void NotRecorded::follow_single_choices(std::span<const ExpertIndex> experts) {
  const std::size_t rounds = header_.layer_of_round.size();
  std::size_t round = 0;
  for (const ExpertIndex expert : experts) {
    Round& here = rounds_[round];
    if (!here.only) here.only = expert;
    here.varies = here.varies || *here.only != expert;
    if (++round == rounds) round = 0;
  }
}

std::span<const ExpertIndex> NotRecorded::recorded(std::span<const ExpertIndex> experts) {
  const std::size_t token_size = header_.layer_of_round.size() * header_.top_k;
  tokens_ += experts.size() / token_size;
  if (header_.top_k == 1) {
    follow_single_choices(experts);
    return experts;
  }
  if (!find_unrecorded(experts)) return experts;
  kept_.clear();
  for (std::size_t i = 0; i < experts.size(); i += token_size) add_token(experts.subspan(i, token_size));
  return kept_;
}

bool NotRecorded::is_nothing_recorded() const {
  if (header_.top_k > 1) {
    const bool is_any_recorded = std::ranges::any_of(rounds_, &Round::is_recorded);
    const bool is_any_missing = left_out_tokens_ > 0;
    return is_any_missing && !is_any_recorded;
  }
  const bool is_one_expert = header_.experts.value_or(options_.experts.value_or(0)) == 1;
  return !is_one_expert && tokens_ * rounds_.size() > 1 &&
         std::ranges::all_of(rounds_, [](const Round& round) { return !round.varies && round.only == ExpertIndex{0}; });
}

Status NotRecorded::check_single_choices() const {
  if (header_.top_k != 1 || header_.has_loads || knows_layers() || tokens_ < 2) return {};
  if (std::ranges::none_of(rounds_, &Round::varies)) return {};
  for (std::size_t round = 0; round < rounds_.size(); ++round) {
    if (rounds_[round].varies || !rounds_[round].only || rounds_[round].only == kNoExpert) continue;
    return invalid_input(
        fmt::format(
            "{}: row {} names expert {} for all {} tokens while others vary, as a row that was not recorded "
            "does, and with top-1 the two look alike; give the model or the layer ids, which say which rows are MoE "
            "layers, or -1 where nothing was recorded",
            files(), round, *rounds_[round].only, tokens_),
        {"model", "layer_ids"});
  }
  return {};
}

std::string NotRecorded::files() const { return files_ > 1 ? fmt::format("{} and {} more", path_, files_ - 1) : path_; }

std::string NotRecorded::rows_text() const {
  const bool is_model_known = knows_layers();
  std::vector<std::string> names;
  for (std::size_t round = 0; round < rounds_.size(); ++round) {
    if (rounds_[round].is_recorded || rounds_[round].unrecorded_tokens == 0) continue;
    const int layer = header_.layer_ids[header_.layer_of_round[round]];
    const bool is_row_number = static_cast<std::size_t>(layer) == round;
    names.push_back(is_row_number || is_model_known ? fmt::format("{}", layer)
                                                    : fmt::format("{} (layer {})", round, layer));
  }
  if (names.empty()) return "";
  const char* what = is_model_known ? "layer" : "row";
  return fmt::format("{}{} {}", what, names.size() > 1 ? "s" : "", fmt::join(names, ", "));
}

Status NotRecorded::finish() const {
  if (tokens_ == 0) return {};
  if (is_nothing_recorded()) {
    return invalid_input(
        fmt::format("{}: nothing was recorded: for every token and layer {}; record some traffic with the engine's "
                    "option for routed experts on",
                    files(), header_.top_k > 1 ? kZeroFilled : "the choice is expert 0, as in a zero-filled array"));
  }
  EVENKEEL_TRY_STATUS(check_single_choices());
  if (!options_.note) return {};
  if (const std::string rows = rows_text(); !rows.empty()) {
    options_.note(fmt::format("{}: {} {} never recorded (for every token {}); left out", files(), rows,
                              rows.find(',') == std::string::npos ? "was" : "were", kZeroFilled));
  }
  if (left_out_tokens_ > 0) {
    options_.note(fmt::format("{}: {} of {} tokens were not recorded (in every layer {}); they are left out, as if -1",
                              files(), left_out_tokens_, tokens_, kZeroFilled));
  }
  std::uint64_t rows = 0;
  std::size_t layers = 0;
  for (const Round& round : rounds_) {
    if (!round.is_recorded || round.unrecorded_tokens == 0) continue;
    rows += round.unrecorded_tokens;
    ++layers;
  }
  if (rows > 0) {
    options_.note(
        fmt::format("{}: {} choices of a token in a layer, in {} layers, were not recorded ({}); they are taken as -1",
                    files(), rows, layers, kZeroFilled));
  }
  return {};
}

}  // namespace evenkeel
