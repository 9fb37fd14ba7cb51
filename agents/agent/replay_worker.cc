#include "agents/agent/replay_worker.h"

#include <fmt/format.h>

#include <algorithm>

namespace evenkeel::agent {
namespace {

constexpr std::uint64_t kTokensPerStepMax = 65'536;

}  // namespace

Result<ReplayWorker> ReplayWorker::create(Trace trace, const ReplayOptions& options, TimePoint now) {
  std::vector<std::size_t> sequences;
  for (std::size_t i = options.rank; i < trace.parts(); i += options.world) {
    if (trace.paths.sequence_start[i] < trace.paths.sequence_start[i + 1]) sequences.push_back(i);
  }
  if (sequences.empty()) {
    return invalid_input(fmt::format(
        "--replay: the trace has {} sequences with token paths, none for rank {} of {}; give a trace with more",
        trace.parts(), options.rank, options.world));
  }
  return ReplayWorker(std::move(trace), std::move(sequences), options, now);
}

ReplayWorker::ReplayWorker(Trace trace, std::vector<std::size_t> sequences, const ReplayOptions& options, TimePoint now)
    : trace_(std::move(trace)), options_(options), sequences_(std::move(sequences)), started_(now) {
  counts_.load_tokens = Grid<std::uint64_t>(trace_.shape.layers(), trace_.shape.experts);
}

void ReplayWorker::advance(TimePoint now) {
  const std::chrono::duration<double> elapsed = now - started_;
  const auto due = static_cast<std::uint64_t>(elapsed.count() * options_.tokens_per_second);
  const std::uint64_t until = std::min(due, counts_.tokens + kTokensPerStepMax);
  while (counts_.tokens < until && play_token()) {
  }
}

bool ReplayWorker::play_token() {
  if (options_.passes != 0 && pass_ >= options_.passes) return false;
  const auto& start = trace_.paths.sequence_start;
  const std::size_t sequence = sequences_[sequence_];
  count_token(start[sequence] + offset_);
  if (start[sequence] + ++offset_ < start[sequence + 1]) return true;
  offset_ = 0;
  if (++sequence_ == sequences_.size()) {
    sequence_ = 0;
    ++pass_;
  }
  return true;
}

void ReplayWorker::count_token(std::size_t token) {
  const TokenPaths& paths = trace_.paths;
  for (std::size_t round = 0; round < paths.rounds(); ++round) {
    for (const ExpertIndex expert : paths.chosen(token, round)) {
      if (expert != kNoExpert) ++counts_.load_tokens(paths.layer_of_round[round], expert);
    }
  }
  ++counts_.tokens;
}

void ReplayWorker::discard(const wire::Stamp& stamp) {
  if (loading_ && loading_->stamp == stamp) loading_.reset();
}

std::optional<wire::Stamp> ReplayWorker::take_loaded(TimePoint now) {
  if (!loading_ || now < loading_->done_at) return std::nullopt;
  return std::exchange(loading_, std::nullopt)->stamp;
}

}  // namespace evenkeel::agent
