#include "agents/replay/stand_in.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "agents/probe/replay_side.h"
#include "agents/wire/limits.h"
#include "agents/wire/message.h"

namespace evenkeel::replay {
namespace {

constexpr std::size_t kTokensPerStep = 128;
/// Time the first epoch may take to come before the replay starts without one.
constexpr std::chrono::milliseconds kStartWait{10'000};

Status validate_shape(const Trace& trace, std::size_t top_k) {
  const ModelShape& shape = trace.shape;
  if (shape.layers() <= wire::kLayersMax && shape.experts <= wire::kExpertsMax && top_k <= wire::kTopKMax &&
      shape.layers() * shape.experts <= wire::kCellsMax) {
    return {};
  }
  return invalid_input(fmt::format(
      "--replay: the model has {} layers of {} experts, top-{}; at most {} of {}, {} in "
      "all, top-{}",
      shape.layers(), shape.experts, top_k, wire::kLayersMax, wire::kExpertsMax, wire::kCellsMax, wire::kTopKMax));
}

LoaderOptions loader_options(const Settings& s, const Trace& trace) {
  return {.probe = s.probe,
          .rank = s.rank,
          .world = s.world,
          .layers = static_cast<std::uint32_t>(trace.shape.layers()),
          .spare_buffers = s.spare_buffers,
          .load_time = std::chrono::milliseconds(s.load_ms)};
}

}  // namespace

Result<StandIn> StandIn::create(const Settings& s) {
  EVENKEEL_TRY(trace, read_trace(s.trace, {.experts = s.experts}));
  EVENKEEL_TRY(plan, plan_windows(trace, s.rank, s.world));
  const std::size_t top_k = Choices(trace).top_k();
  EVENKEEL_TRY_STATUS(validate_shape(trace, top_k));
  std::ofstream map_log;
  if (!s.map_log.empty()) {
    map_log.open(s.map_log, std::ios::app);
    if (!map_log) {
      return invalid_input(
          fmt::format("--map-log {}: it cannot be opened; give a file that can be written", s.map_log));
    }
  }
  ek_probe_options options{};
  options.size = sizeof options;
  options.model = s.model.c_str();
  options.worker = s.name.c_str();
  options.rank = s.rank;
  options.world = s.world;
  options.layer_ids = trace.shape.layer_ids.data();
  options.paths_one_in = s.paths_one_in;
  EVENKEEL_TRY(group, Rendezvous::join(s.rendezvous, s.rank, s.world, s.probe));
  Probe probe(
      ek_probe_open(s.probe.c_str(), static_cast<std::uint32_t>(trace.shape.layers()),
                    static_cast<std::uint32_t>(trace.shape.experts), static_cast<std::uint32_t>(top_k), &options),
      &ek_probe_close);
  if (!probe) return invalid_input(ek_probe_error());
  probe::mark_replay(*probe);
  return StandIn(s, std::make_unique<const Trace>(std::move(trace)), std::move(plan), std::move(probe),
                 std::move(group), std::move(map_log));
}

StandIn::StandIn(const Settings& settings, std::unique_ptr<const Trace> trace, WindowPlan plan, Probe probe,
                 Rendezvous group, std::ofstream map_log)
    : settings_(settings),
      trace_(std::move(trace)),
      plan_(std::move(plan)),
      choices_(*trace_),
      probe_(std::move(probe)),
      group_(std::move(group)),
      loader_(loader_options(settings_, *trace_)),
      map_log_(std::move(map_log)),
      started_ms_(probe::monotonic_ms()) {}

int StandIn::run(shell::StopSignals& signals) {
  signals_ = &signals;
  start();
  started_ = Clock::now();
  for (std::uint64_t pass = 0; !exit_code_ && (settings_.passes == 0 || pass < settings_.passes); ++pass) play_pass();
  linger();
  return exit_code_.value_or(0);
}

/// All ranks begin with the first epoch, where it comes in time.
void StandIn::start() {
  const auto until = Clock::now() + kStartWait;
  while (ek_probe_held(probe_.get()) < 0 && Clock::now() < until) {
    if (!rest()) return;
  }
  meet(Clock::now());
}

void StandIn::play_pass() {
  for (const auto& sequences : plan_.sequences) {
    play_window(sequences);
    if (exit_code_) return;
    meet(Clock::now() + std::chrono::milliseconds(plan_.is_tagged ? settings_.decision_wait_ms : 0));
    if (exit_code_) return;
  }
}

void StandIn::play_window(const std::vector<std::size_t>& sequences) {
  log_window();
  window_tokens_ = 0;
  window_steps_ = 0;
  std::uint64_t tokens = 0;
  for (const std::size_t i : sequences) {
    tokens += trace_->paths.sequence_start[i + 1] - trace_->paths.sequence_start[i];
  }
  for (const std::size_t i : sequences) play_sequence(i, tokens);
  if (exit_code_) return;
  if (window_steps_ < settings_.steps_per_window) {
    ek_probe_end_steps(probe_.get(), EK_STAGE_MIXED, settings_.steps_per_window - window_steps_);
  }
  step_ += settings_.steps_per_window;
  ++windows_played_;
  if (plan_.is_tagged) ek_probe_end_window(probe_.get());
}

void StandIn::play_sequence(std::size_t sequence, std::uint64_t window_tokens) {
  const int stage = static_cast<int>(stage_of(*trace_, sequence));
  const std::uint64_t end = trace_->paths.sequence_start[sequence + 1];
  for (std::uint64_t token = trace_->paths.sequence_start[sequence]; token < end;) {
    if (!serve()) return;
    const std::chrono::duration<double> elapsed = Clock::now() - started_;
    if (static_cast<double>(tokens_played_) > elapsed.count() * settings_.tokens_per_second) {
      if (!rest()) return;
      continue;
    }
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kTokensPerStep, end - token));
    record(token, count);
    token += count;
    tokens_played_ += count;
    window_tokens_ += count;
    // The window's steps are spread over its tokens.
    const std::uint64_t steps = settings_.steps_per_window * window_tokens_ / window_tokens;
    ek_probe_end_steps(probe_.get(), stage, steps - std::exchange(window_steps_, steps));
  }
}

void StandIn::record(std::uint64_t first_token, std::size_t tokens) {
  for (std::size_t layer = 0; layer < trace_->shape.layers(); ++layer) {
    const auto ids = choices_.of(layer, first_token, tokens);
    ek_probe_record_ids_i32(probe_.get(), static_cast<std::uint32_t>(layer), ids.data(), tokens);
  }
}

bool StandIn::is_decided() const { return probe::agent_word(*probe_).windows_decided >= windows_played_; }

/// Meets the other ranks until this one may go on: with what they agreed on, or with what it runs where they do not
/// come. Until `decide_by` it waits for the decision on the window that has ended, and switches with the others in
/// passing.
void StandIn::meet(Clock::time_point decide_by) {
  const auto from = Clock::now();
  decide_by_ = decide_by;
  may_play_ = false;
  while (!may_play_) {
    const auto until = std::max(Clock::now(), decide_by) + std::chrono::milliseconds(settings_.barrier_timeout_ms);
    group_.arrive(mine());
    std::optional<Agreement> agreed = group_.poll(mine());
    bool goes_on = true;
    while (!agreed && goes_on && Clock::now() < until) {
      goes_on = rest();
      agreed = group_.poll(mine());
    }
    if (!agreed) agreed = group_.give_up();
    if (agreed) {
      act_on(*agreed);
    } else {
      // Nobody has switched. A rank that runs nothing yet cannot know what the others run.
      may_play_ = loader_.running().epoch >= 0;
    }
    if (!goes_on || !serve()) return;
  }
  was_decided_ = is_decided();
  waited_ms_ =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - from).count());
}

void StandIn::act_on(const Agreement& agreed) {
  step_ = agreed.step;
  const std::int64_t target = std::max(agreed.held, agreed.running);
  if (target > loader_.running().epoch && loader_.next() && loader_.next()->epoch == target &&
      ek_probe_held(probe_.get()) == target) {
    loader_.run_loaded();
    ek_probe_switched(probe_.get(), target, step_);
  }
  may_play_ = agreed.is_done && loader_.running().epoch == target;
}

Agreement StandIn::mine() const {
  return {.held = ek_probe_held(probe_.get()),
          .running = loader_.running().epoch,
          .step = step_,
          .is_done = is_decided() || Clock::now() >= decide_by_};
}

/// Everything is played; the agent reads the rest and lets the worker go.
void StandIn::linger() {
  if (exit_code_) return;
  probe::mark_finished(*probe_);
  while (rest()) {
  }
}

bool StandIn::serve() {
  if (exit_code_) return false;
  exit_code_ = signals_->exit_code();
  const auto word = probe::agent_word(*probe_);
  const std::uint64_t silent_since = std::max(word.alive_ms, started_ms_);
  const bool is_orphan = probe::monotonic_ms() > silent_since + settings_.orphan_timeout_ms;
  if (!exit_code_ && (word.is_released || is_orphan)) exit_code_ = 0;
  const auto now = Clock::now();
  ek_epoch epoch;
  const int news = ek_probe_poll(probe_.get(), &epoch);
  if (news == EK_POLL_WITHDRAWN) loader_.withdraw();
  if (news == EK_POLL_PREPARE) loader_.begin(epoch, now);
  loader_.retire(ek_probe_retired(probe_.get()));
  if (loader_.work(group_, now)) ek_probe_ready(probe_.get(), loader_.next()->epoch);
  complain();
  return !exit_code_;
}

/// Says once for each epoch why it cannot be loaded.
void StandIn::complain() {
  if (loader_.why_not().empty() || !loader_.next() || complained_ == loader_.next()->epoch) return;
  complained_ = loader_.next()->epoch;
  fmt::print(stderr, "evenkeel-stand-in: rank {}: epoch {} waits: {}\n", settings_.rank, *complained_,
             loader_.why_not());
}

bool StandIn::rest() {
  if (!serve()) return false;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return true;
}

void StandIn::log_window() {
  if (!map_log_.is_open()) return;
  const auto& running = loader_.running();
  nlohmann::ordered_json line{{"rank", settings_.rank},  {"window", windows_played_},
                              {"step_begin", step_},     {"step_end", step_ + settings_.steps_per_window},
                              {"epoch", nullptr},        {"digest", nullptr},
                              {"waited_ms", waited_ms_}, {"decided", was_decided_}};
  if (running.epoch >= 0) {
    line["epoch"] = running.epoch;
    line["digest"] = wire::digest_text(running.digest);
  }
  map_log_ << line.dump() << std::endl;
}

}  // namespace evenkeel::replay
