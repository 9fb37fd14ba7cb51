#include "pipeline/replay/replay_window.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "pipeline/trace/top_k_bound.h"

namespace evenkeel {
namespace {

/// Token paths beyond this are for `evenkeel profile`, as for every command that holds them in memory.
constexpr std::size_t kPathBytesMax = std::size_t{2} << 30;

std::uint64_t busiest_layer(const Grid<std::uint64_t>& load_tokens) {
  std::uint64_t busiest = 0;
  for (std::size_t layer = 0; layer < load_tokens.rows(); ++layer) {
    const auto row = load_tokens[layer];
    busiest = std::max(busiest, std::accumulate(row.begin(), row.end(), std::uint64_t{0}));
  }
  return busiest;
}

}  // namespace

Status WindowReader::begin(const std::string& path, const RecordingHeader& header) {
  if (first_) {
    EVENKEEL_TRY_STATUS(check_same_model(*first_, header, path_, path));
  } else {
    path_ = path;
    first_ = header;
  }
  const std::size_t told = header.top_k > 0 ? header.top_k : header.experts_per_token.value_or(0);
  if (told > 0) top_k_ = told;
  is_top_k_known_ = is_top_k_known_ || told > 0;
  if (header.experts) experts_ = std::max(experts_.value_or(0), *header.experts);
  first_window_ = sequences_.empty() ? 0 : sequences_.rbegin()->first + 1;
  return {};
}

Status WindowReader::loads(StageLoad window) {
  if (!present_.empty() && !StageByName()(present_.back().stage, window.stage)) EVENKEEL_TRY_STATUS(take_loads());
  present_.push_back(std::move(window));
  return {};
}

Status WindowReader::begin_sequence(const SequenceLabel& label) {
  sequence_ = nullptr;
  // Beside loads, token paths are a sample that a window's figures do not need.
  if (first_->has_loads) return {};
  auto& sequences = sequences_[first_window_ + label.window.value_or(0)];
  sequence_ = &sequences.emplace_back(Sequence{label.stage.value_or(Stage::kMixed), {}});
  return {};
}

Status WindowReader::tokens(std::span<const ExpertIndex> experts) {
  if (sequence_ == nullptr) return {};
  path_bytes_ += experts.size_bytes();
  if (path_bytes_ > kPathBytesMax) {
    return invalid_input(fmt::format(
        "{}: its token paths take more than 2 GiB; make loads of it with evenkeel profile, and replay these", path_));
  }
  for (const ExpertIndex expert : experts) {
    if (expert != kNoExpert) largest_ = std::max(largest_, expert);
  }
  sequence_->experts.insert(sequence_->experts.end(), experts.begin(), experts.end());
  return {};
}

Status WindowReader::finish() {
  if (!present_.empty()) EVENKEEL_TRY_STATUS(take_loads());
  const std::size_t experts = experts_.value_or(std::size_t{largest_} + 1);
  for (const auto& [number, sequences] : sequences_) EVENKEEL_TRY_STATUS(take_paths(sequences, experts));
  if (windows_ == 0) return invalid_input(fmt::format("{}: it has no window to replay; record some traffic", path_));
  if (windows_ == 1) {
    return invalid_input(
        fmt::format("{}: it has one window, and plans serve from the next on; make a profile of several "
                    "windows and replay that",
                    path_),
        {"window_sequences"});
  }
  return {};
}

Status WindowReader::take_loads() {
  RoutingProfile window;
  window.shape = {first_->layer_ids, *experts_, first_->hidden_layers};
  window.windows = std::exchange(present_, {});
  const auto share = largest_share(window.windows, first_->layer_ids);
  if (share && !is_top_k_known_ && top_k_ > share->top_k_max()) {
    return invalid_input(
        fmt::format("{}: its loads do not tell how many experts a token chooses, and {} cannot be assumed: {}, which "
                    "leaves at most {}; give the model or its top-k",
                    path_, top_k_, share->text(), share->top_k_max()),
        {"model", "top_k"});
  }
  for (StageLoad& of_stage : window.windows) of_stage.tokens = busiest_layer(of_stage.load_tokens) / top_k_;
  window.paths.top_k = top_k_;
  ++windows_;
  return take_(window);
}

Status WindowReader::take_paths(const std::vector<Sequence>& sequences, std::size_t experts) {
  RoutingProfile window;
  window.shape = {first_->layer_ids, experts, first_->hidden_layers};
  TokenPaths& paths = window.paths;
  paths.top_k = first_->top_k;
  paths.layer_of_round = first_->layer_of_round;
  paths.sequence_start = {0};
  const std::size_t token_size = paths.top_k * paths.layer_of_round.size();
  for (const Sequence& sequence : sequences) {
    StageLoad& stage = of_stage(window.windows, sequence.stage, first_->layer_ids.size(), experts);
    stage.tokens += sequence.experts.size() / token_size;
    for (std::size_t i = 0; i < sequence.experts.size(); ++i) {
      const ExpertIndex expert = sequence.experts[i];
      if (expert != kNoExpert)
        ++stage.load_tokens(paths.layer_of_round[i / paths.top_k % paths.layer_of_round.size()], expert);
    }
    paths.experts.insert(paths.experts.end(), sequence.experts.begin(), sequence.experts.end());
    paths.sequence_start.push_back(paths.experts.size() / token_size);
  }
  ++windows_;
  return take_(window);
}

}  // namespace evenkeel
