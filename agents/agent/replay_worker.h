#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "agents/agent/agent_state.h"
#include "agents/wire/message.h"
#include "partition/model/result.h"
#include "pipeline/trace/trace.h"

namespace evenkeel::agent {

struct ReplayOptions {
  /// This worker plays the sequences i with i mod world == rank.
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  /// Pace. Above 0.
  double tokens_per_second = 20'000;
  /// Times the share of the trace is played; 0 is for ever.
  std::uint64_t passes = 0;
  /// Modelled time to load the experts of a prepared placement.
  std::chrono::milliseconds load_time{0};
};

/// Stands in for a GPU worker: routes a recorded trace at a set pace and counts exactly, as the probe does beside an
/// engine. Pure: time is an argument. Not thread-safe.
class ReplayWorker {
 public:
  /// Fails with kInvalidInput where the trace has no token paths, or no sequence for this rank.
  [[nodiscard]] static Result<ReplayWorker> create(Trace trace, const ReplayOptions& options, TimePoint now);

  /// Routes the tokens that are due, at most 65,536 of them; the rest follows at the next call.
  void advance(TimePoint now);
  [[nodiscard]] const Counts& counts() const { return counts_; }

  void load(const wire::Stamp& stamp, TimePoint now) { loading_ = {stamp, now + options_.load_time}; }
  void discard(const wire::Stamp& stamp);
  /// The load that is complete now, told once.
  [[nodiscard]] std::optional<wire::Stamp> take_loaded(TimePoint now);

 private:
  ReplayWorker(Trace trace, std::vector<std::size_t> sequences, const ReplayOptions& options, TimePoint now);

  /// False when every pass is over.
  [[nodiscard]] bool play_token();
  void count_token(std::size_t token);

  Trace trace_;
  ReplayOptions options_;
  std::vector<std::size_t> sequences_;
  Counts counts_;
  TimePoint started_;
  std::uint64_t pass_ = 0;
  /// Index into sequences_, and the token within that sequence.
  std::size_t sequence_ = 0;
  std::uint64_t offset_ = 0;

  struct Loading {
    wire::Stamp stamp;
    TimePoint done_at;
  };
  std::optional<Loading> loading_;
};

}  // namespace evenkeel::agent
