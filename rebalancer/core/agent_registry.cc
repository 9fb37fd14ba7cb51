#include "rebalancer/core/agent_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "agents/wire/frame.h"
#include "agents/wire/limits.h"

namespace evenkeel::rebalancer {
namespace {

wire::Refusal refusal(wire::RefusalReason reason, std::string detail) {
  return {.reason = reason, .about = "hello", .about_epoch = {}, .known = {}, .detail = std::move(detail)};
}

/// Times a layer's experts may be chosen from by one token: Chain-of-Experts models have several rounds. A probe has
/// the choices of all rounds side by side, and no more than kTopKMax; what recordings tell of is of top-k in each.
constexpr std::uint64_t kRoundsMax = 16;
/// Reports may come in bursts: what two of them tell is of longer than the time between them.
constexpr std::chrono::seconds kReportJitter{5};

/// A few milliseconds of writing.
constexpr std::size_t kKeptAtOnce = 8;
/// Workers that are remembered beyond one a rank.
constexpr std::size_t kPastMax = 64;
/// One a machine that records.
constexpr std::size_t kObserversMax = 1'024;

/// Of what is new, a token chooses an expert at most once a round, and so many experts of a layer in all rounds.
bool can_be_chosen(const std::optional<StageLoad>& before, const StageLoad& now, std::uint64_t choices_max) {
  const std::uint64_t tokens = now.tokens - (before ? before->tokens : 0);
  for (std::size_t layer = 0; layer < now.load_tokens.rows(); ++layer) {
    std::uint64_t choices = 0;
    for (std::size_t expert = 0; expert < now.load_tokens.cols(); ++expert) {
      const std::uint64_t count = now.load_tokens(layer, expert) - (before ? before->load_tokens(layer, expert) : 0);
      if (count > tokens * kRoundsMax) return false;
      choices += count;
    }
    if (choices > tokens * choices_max) return false;
  }
  return true;
}

}  // namespace

AgentRegistry::AgentRegistry(const RegistryOptions& options, bool has_history, std::span<const TotalRecord> totals)
    : options_(options), has_history_(has_history) {
  for (const TotalRecord& total : totals) {
    Counted counted{.incarnation = total.incarnation, .report_sequence = total.sequence, .tokens = 0, .counts = {}};
    for (const StageLoad& stage : total.stages) {
      add(total_, stage);
      counted.tokens += stage.tokens;
      counted.counts[index_of(stage.stage)] = stage;
    }
    if (total.worker.empty()) {
      ended_ = total.stages.front();
    } else {
      past_[total.worker] = std::move(counted);
    }
  }
}

std::optional<wire::Refusal> AgentRegistry::reason_to_refuse(const std::string& worker, const wire::Hello& hello,
                                                             TimePoint now) {
  using enum wire::RefusalReason;
  if (worker == wire::kRebalancerName) return refusal(kConflict, "the name rebalancer is taken; give --name another");
  if (is_superseded(worker, hello.incarnation)) {
    return refusal(kStaleIncarnation, "a newer incarnation of this worker has replaced it");
  }
  const auto& others = hello.is_observer() ? agents_ : observers_;
  if (others.contains(worker)) {
    return refusal(kConflict, fmt::format("{} is a worker's and an observer's name; give --name another", worker));
  }
  if (hello.is_observer()) {
    if (observers_.size() < kObserversMax || observers_.contains(worker)) return std::nullopt;
    return refusal(kConflict, fmt::format("there are {} observers already", observers_.size()));
  }
  if (hello.world != world()) {
    return refusal(kShapeMismatch, fmt::format("world is {}; --agents of the rebalancer is {}", hello.world, world()));
  }
  const auto holder =
      std::find_if(agents_.begin(), agents_.end(), [&](const auto& entry) { return entry.second.rank == hello.rank; });
  if (holder == agents_.end() || holder->first == worker) return std::nullopt;
  if (is_present(holder->second, now)) {
    return refusal(kConflict, fmt::format("rank {} is worker {}", hello.rank, holder->first));
  }
  record(holder->first, holder->second);
  past_[holder->first] = holder->second;
  agents_.erase(holder);
  forget_oldest_past();
  return std::nullopt;
}

std::optional<wire::Refusal> AgentRegistry::join(const std::string& peer, const std::string& worker,
                                                 const wire::Hello& hello, TimePoint now) {
  if (auto why = reason_to_refuse(worker, hello, now)) return why;
  if (total_.load_tokens.empty()) total_.load_tokens = Grid<std::uint64_t>(hello.layer_ids.size(), hello.experts);
  const auto [entry, is_new] = (hello.is_observer() ? observers_ : agents_).try_emplace(worker);
  Agent& agent = entry->second;
  if (is_new) {
    static_cast<Counted&>(agent) = take_past(worker);
    agent.kept_sequence = agent.report_sequence;
    agent.has_history = has_history_;
  }
  if (hello.incarnation > agent.incarnation) {
    if (agent.report_sequence > 0) end_incarnation(worker, agent, hello.incarnation);
    // Windows and steps of the group go on; what the older incarnation counted in an open window stays counted.
    Agent anew;
    anew.incarnation = hello.incarnation;
    anew.has_history = is_new && has_history_;
    anew.steps = agent.steps;
    anew.windows_before = agent.windows();
    anew.open_windows = std::move(agent.open_windows);
    agent = std::move(anew);
  }
  agent.peer = peer;
  agent.rank = hello.rank;
  agent.is_observer = hello.is_observer();
  agent.heard_at = now;
  return std::nullopt;
}

const Agent* AgentRegistry::find(const std::string& worker) const {
  if (const auto agent = agents_.find(worker); agent != agents_.end()) return &agent->second;
  const auto observer = observers_.find(worker);
  return observer == observers_.end() ? nullptr : &observer->second;
}

Agent* AgentRegistry::find(const std::string& peer, const std::string& worker, std::uint64_t incarnation) {
  auto* const agent = const_cast<Agent*>(find(worker));
  return agent && agent->peer == peer && agent->incarnation == incarnation ? agent : nullptr;
}

bool AgentRegistry::has(const std::string& peer, const std::string& worker) const {
  const Agent* const agent = find(worker);
  return agent && agent->peer == peer;
}

bool AgentRegistry::is_superseded(const std::string& worker, std::uint64_t incarnation) const {
  if (const Agent* const agent = find(worker)) return incarnation < agent->incarnation;
  const auto past = past_.find(worker);
  return past != past_.end() && incarnation < past->second.incarnation;
}

Counted AgentRegistry::take_past(const std::string& worker) {
  const auto past = past_.extract(worker);
  return past ? past.mapped() : Counted{};
}

void AgentRegistry::end_incarnation(const std::string& worker, const Counted& counted, std::uint64_t incarnation) {
  for (const auto& stage : counted.counts) {
    if (stage) add(ended_, *stage);
  }
  if (!ended_.load_tokens.empty()) {
    records_.push_back({.model = "", .worker = "", .incarnation = 0, .sequence = 0, .stages = {ended_}});
  }
  records_.push_back({.model = "", .worker = worker, .incarnation = incarnation, .sequence = 0, .stages = {}});
}

void AgentRegistry::record(const std::string& worker, const Counted& counted) {
  TotalRecord record{.model = "",
                     .worker = worker,
                     .incarnation = counted.incarnation,
                     .sequence = counted.report_sequence,
                     .stages = {}};
  for (const auto& stage : counted.counts) {
    if (stage) record.stages.push_back(*stage);
  }
  records_.push_back(std::move(record));
}

void AgentRegistry::keep(const std::string& worker, Agent& agent) {
  record(worker, agent);
  agent.kept_sequence = agent.report_sequence;
}

void AgentRegistry::keep_silent(TimePoint now) {
  std::size_t left = kKeptAtOnce;
  for (auto* const workers : {&agents_, &observers_}) {
    for (auto& [worker, agent] : *workers) {
      if (is_present(agent, now) || agent.kept_sequence == agent.report_sequence) continue;
      keep(worker, agent);
      if (--left == 0) return;
    }
  }
}

void AgentRegistry::forget_oldest_past() {
  if (past_.size() <= world() + kPastMax) return;
  const auto oldest = std::ranges::min_element(
      past_, {}, [](const std::pair<const std::string, Counted>& entry) { return entry.second.incarnation; });
  end_incarnation(oldest->first, oldest->second, 0);
  past_.erase(oldest);
}

std::vector<TotalRecord> AgentRegistry::take_records() { return std::exchange(records_, {}); }

Intake AgentRegistry::judge(const Agent& agent, const wire::Report& report, TimePoint now) const {
  if (report.sequence <= agent.report_sequence) return Intake::kStale;
  std::array<bool, kAllStages.size()> is_there{};
  for (const StageLoad& stage : report.stages) {
    const auto& counted = stage.load_tokens;
    if (counted.rows() != total_.load_tokens.rows() || counted.cols() != total_.load_tokens.cols())
      return Intake::kWrongShape;
    is_there[index_of(stage.stage)] = true;
    const auto& before = agent.counts[index_of(stage.stage)];
    if (!before) continue;
    if (stage.tokens < before->tokens ||
        !std::ranges::equal(before->load_tokens.cells(), counted.cells(), std::ranges::less_equal())) {
      return Intake::kShrinking;
    }
  }
  for (std::size_t stage = 0; stage < is_there.size(); ++stage) {
    if (agent.counts[stage] && !is_there[stage]) return Intake::kShrinking;
  }
  if (report.window < agent.window || report.steps < agent.steps_of_incarnation) return Intake::kShrinking;
  return is_plausible(agent, report, now) ? Intake::kAccepted : Intake::kImplausible;
}

bool AgentRegistry::is_plausible(const Agent& agent, const wire::Report& report, TimePoint now) const {
  std::uint64_t tokens = 0;
  for (const StageLoad& stage : report.stages) {
    tokens += stage.tokens;
    const auto choices_max = agent.is_observer ? wire::kTopKMax * kRoundsMax : wire::kTopKMax;
    if (!can_be_chosen(agent.counts[index_of(stage.stage)], stage, choices_max)) return false;
  }
  // An observer counts no steps, and says nothing of windows.
  const std::uint64_t steps = report.steps - agent.steps_of_incarnation;
  if (!agent.is_observer && report.window - agent.window > steps + 1) return false;
  if (!agent.is_observer &&
      (tokens - agent.tokens) / std::max<std::uint64_t>(steps, 1) > options_.count_limits.tokens_per_step_max)
    return false;
  // The first report may tell of any length of time, and so may a recording.
  if (agent.report_sequence == 0 || agent.is_observer) return true;
  const std::chrono::duration<double> since = now - agent.reported_at + kReportJitter;
  return static_cast<double>(tokens - agent.tokens) <= options_.count_limits.tokens_per_second_max * since.count();
}

Intake AgentRegistry::take(Agent& agent, const wire::Report& report, std::uint64_t first_open, TimePoint now) {
  const Intake intake = judge(agent, report, now);
  if (intake == Intake::kShrinking || intake == Intake::kImplausible) agent.is_distrusted = true;
  if (intake != Intake::kAccepted) return intake;
  const bool is_history = std::exchange(agent.has_history, false);
  if (agent.report_sequence == 0 && progress().has_window_tags) {
    agent.windows_before = first_open - std::min(first_open, report.window);
  }
  const std::uint64_t window = std::max(agent.windows(), first_open);
  std::uint64_t tokens = 0;
  for (const StageLoad& stage : report.stages) {
    auto& before = agent.counts[index_of(stage.stage)];
    if (!before) before = {stage.stage, 0, Grid<std::uint64_t>(total_.load_tokens.rows(), total_.load_tokens.cols())};
    add_growth(total_.load_tokens, before->load_tokens, stage.load_tokens);
    if (!is_history) agent.open_windows.add(window, *before, stage);
    tokens += stage.tokens;
    before = stage;
  }
  total_.tokens += tokens - agent.tokens;
  agent.tokens = tokens;
  if (!is_history) agent.steps += report.steps - agent.steps_of_incarnation;
  agent.steps_of_incarnation = report.steps;
  agent.window = report.window;
  agent.report_sequence = report.sequence;
  agent.reported_at = now;
  return Intake::kAccepted;
}

Progress AgentRegistry::progress() const {
  constexpr std::uint64_t kNobody = std::numeric_limits<std::uint64_t>::max();
  Progress least{.windows = kNobody, .steps = kNobody, .reported_at = TimePoint::max(), .has_window_tags = false};
  bool have_all_reported = agents_.size() == world();
  for (const auto& [worker, agent] : agents_) {
    if (agent.is_distrusted) continue;
    least.windows = std::min(least.windows, agent.windows());
    least.steps = std::min(least.steps, agent.steps);
    least.reported_at = std::min(*least.reported_at, agent.reported_at);
    least.has_window_tags = least.has_window_tags || agent.windows() > 0;
    have_all_reported = have_all_reported && agent.report_sequence > 0;
  }
  if (have_all_reported && least.steps != kNobody) return least;
  return {.windows = 0, .steps = 0, .reported_at = std::nullopt, .has_window_tags = least.has_window_tags};
}

ClosedWindow AgentRegistry::close(std::uint64_t window) {
  std::vector<std::string> names;
  std::vector<std::vector<StageLoad>> workers;
  for (auto* const counting : {&agents_, &observers_}) {
    for (auto& [worker, agent] : *counting) {
      auto counted = agent.open_windows.take_until(window);
      if (agent.is_distrusted || tokens_of(counted) == 0) continue;
      names.push_back(worker);
      workers.push_back(std::move(counted));
    }
  }
  limit_workers(workers);
  ClosedWindow closed{.sum = sum_of_workers(workers), .load_of_worker = {}};
  for (std::size_t i = 0; i < workers.size(); ++i) {
    auto& load = closed.load_of_worker[names[i]];
    for (const StageLoad& stage : workers[i]) add(load, stage.load_tokens);
  }
  return closed;
}

bool AgentRegistry::is_complete(TimePoint now) const {
  return agents_.size() == world() &&
         std::ranges::all_of(agents_, [&](const auto& entry) { return is_present(entry.second, now); });
}

bool AgentRegistry::has_all_on(std::uint64_t epoch) const {
  return std::ranges::all_of(agents_, [&](const auto& entry) { return entry.second.epoch_applied == epoch; });
}

}  // namespace evenkeel::rebalancer
