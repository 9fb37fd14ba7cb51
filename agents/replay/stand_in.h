#pragma once

#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "agents/probe/probe.h"
#include "agents/replay/epoch_loader.h"
#include "agents/replay/rendezvous.h"
#include "agents/replay/settings.h"
#include "agents/replay/window_plan.h"
#include "agents/shell/stop_signals.h"
#include "partition/foundation/result.h"
#include "pipeline/trace/trace.h"

namespace evenkeel::replay {

/// Stands in for a GPU worker: routes its share of a recorded trace, counts with the probe as an engine would, loads
/// the epochs its agent hands it, and switches with the other ranks at a window's end. One thread.
class StandIn {
 public:
  /// Fails with kInvalidInput for a trace, a rendezvous or a name that cannot be used.
  [[nodiscard]] static Result<StandIn> create(const Settings& settings);

  /// Plays until the trace is over and the agent has let it go, or a signal comes. Returns the exit code.
  [[nodiscard]] int run(shell::StopSignals& signals);

 private:
  using Probe = std::unique_ptr<ek_probe, decltype(&ek_probe_close)>;
  using Clock = std::chrono::steady_clock;

  StandIn(const Settings& settings, std::unique_ptr<const Trace> trace, WindowPlan plan, Probe probe, Rendezvous group,
          std::ofstream map_log);

  void start();
  void play_pass();
  void play_window(const std::vector<std::size_t>& sequences);
  void play_sequence(std::size_t sequence, std::uint64_t window_tokens);
  void record(std::uint64_t first_token, std::size_t tokens);
  void meet(Clock::time_point decide_by);
  void act_on(const Agreement& agreed);
  void linger();

  /// Takes what the agent has for this worker. False where it is time to end.
  [[nodiscard]] bool serve();
  /// serve(), and a millisecond's rest.
  [[nodiscard]] bool rest();
  void complain();
  [[nodiscard]] Agreement mine() const;
  [[nodiscard]] bool is_decided() const;
  void log_window();

  Settings settings_;
  /// Where choices_ looks, wherever this object moves.
  std::unique_ptr<const Trace> trace_;
  WindowPlan plan_;
  Choices choices_;
  Probe probe_;
  Rendezvous group_;
  EpochLoader loader_;
  std::ofstream map_log_;
  shell::StopSignals* signals_ = nullptr;

  std::optional<int> exit_code_;
  Clock::time_point started_ = Clock::now();
  std::uint64_t started_ms_;
  std::uint64_t tokens_played_ = 0;
  std::uint64_t windows_played_ = 0;
  /// Tokens and steps of the running window so far.
  std::uint64_t window_tokens_ = 0;
  std::uint64_t window_steps_ = 0;
  /// First step of the running window, the same on all ranks.
  std::uint64_t step_ = 0;
  /// This rank runs what the group agreed on.
  bool may_play_ = false;
  Clock::time_point decide_by_;
  /// The last epoch that could not be loaded at once.
  std::optional<std::int64_t> complained_;
  bool was_decided_ = false;
  std::uint64_t waited_ms_ = 0;
};

}  // namespace evenkeel::replay
