#include "agents/replay/window_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace evenkeel::replay {
namespace {

constexpr std::size_t kSequencesPerRank = 8;

}  // namespace

Result<WindowPlan> plan_windows(const Trace& trace, std::uint32_t rank, std::uint32_t world) {
  WindowPlan plan{.sequences = {}, .is_tagged = !trace.window_of_sequence.empty()};
  const std::size_t count = trace.paths.sequences();
  const auto window_of = [&](std::size_t i) -> std::size_t {
    return plan.is_tagged ? trace.window_of_sequence[i] : i / (kSequencesPerRank * world);
  };
  bool has_any = false;
  for (std::size_t i = 0; i < count; ++i) {
    if (window_of(i) >= plan.sequences.size()) plan.sequences.resize(window_of(i) + 1);
    const bool is_empty = trace.paths.sequence_start[i] == trace.paths.sequence_start[i + 1];
    if (i % world != rank || is_empty) continue;
    plan.sequences[window_of(i)].push_back(i);
    has_any = true;
  }
  if (has_any) return plan;
  return invalid_input(fmt::format(
      "--replay: the trace has {} sequences with token paths, none for rank {} of {}; give a trace with more", count,
      rank, world));
}

Choices::Choices(const Trace& trace) : trace_(&trace), rounds_of_layer_(trace.shape.layers()) {
  for (std::size_t round = 0; round < trace.paths.rounds(); ++round) {
    rounds_of_layer_[trace.paths.layer_of_round[round]].push_back(round);
  }
  std::size_t rounds_max = 0;
  for (const auto& rounds : rounds_of_layer_) rounds_max = std::max(rounds_max, rounds.size());
  top_k_ = rounds_max * trace.paths.top_k;
}

std::span<const std::int32_t> Choices::of(std::size_t layer, std::uint64_t first_token, std::size_t tokens) {
  ids_.assign(tokens * top_k_, -1);
  for (std::size_t token = 0; token < tokens; ++token) {
    auto to = ids_.begin() + static_cast<std::ptrdiff_t>(token * top_k_);
    for (const std::size_t round : rounds_of_layer_[layer]) {
      for (const ExpertIndex expert : trace_->paths.chosen(first_token + token, round)) {
        *to++ = expert == kNoExpert ? -1 : static_cast<std::int32_t>(expert);
      }
    }
  }
  return ids_;
}

Stage stage_of(const Trace& trace, std::size_t sequence) {
  return trace.stage_of_sequence.empty() ? Stage::kMixed : trace.stage_of_sequence[sequence];
}

}  // namespace evenkeel::replay
