#include "rebalancer/core/agent_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agents/wire/frame.h"

namespace evenkeel::rebalancer {
namespace {

wire::Refusal refusal(wire::RefusalReason reason, std::string detail) {
  return {.reason = reason, .about = "hello", .known = {}, .detail = std::move(detail)};
}

/// Times a layer's experts may be chosen from by one token: Chain-of-Experts models have several rounds.
constexpr std::uint64_t kRoundsMax = 16;
/// Reports may come in bursts: what two of them tell is of longer than the time between them.
constexpr std::chrono::seconds kReportJitter{5};

std::size_t index_of(wire::Stage stage) { return static_cast<std::size_t>(stage); }

/// 0 where a rank is vacant or nobody is trusted.
template <class Field>
std::uint64_t least_of_trusted(const std::map<std::string, Agent>& agents, std::uint32_t world, Field field) {
  if (agents.size() != world) return 0;
  std::optional<std::uint64_t> least;
  for (const auto& [worker, agent] : agents) {
    if (!agent.is_distrusted) least = std::min(least.value_or(field(agent)), field(agent));
  }
  return least.value_or(0);
}

}  // namespace

std::optional<wire::Refusal> AgentRegistry::join(const std::string& peer, const std::string& worker,
                                                 const wire::Hello& hello, TimePoint now,
                                                 std::chrono::milliseconds lease) {
  using enum wire::RefusalReason;
  if (worker == wire::kRebalancerName) return refusal(kConflict, "the name rebalancer is taken; give --name another");
  if (hello.world != world_) {
    return refusal(kShapeMismatch, fmt::format("world is {}; --agents of the rebalancer is {}", hello.world, world_));
  }
  const auto holder =
      std::find_if(agents_.begin(), agents_.end(), [&](const auto& entry) { return entry.second.rank == hello.rank; });
  if (holder != agents_.end() && holder->first != worker) {
    if (now - holder->second.heard_at <= lease) {
      return refusal(kConflict, fmt::format("rank {} is worker {}", hello.rank, holder->first));
    }
    agents_.erase(holder);
  }
  const auto [entry, is_new] = agents_.try_emplace(worker);
  Agent& agent = entry->second;
  if (!is_new && hello.incarnation < agent.incarnation) {
    return refusal(kStaleIncarnation, fmt::format("incarnation {} has replaced it", agent.incarnation));
  }
  if (is_new || hello.incarnation > agent.incarnation) {
    // Windows and steps of the group go on; what the older incarnation counted in an open window stays counted.
    Agent anew;
    anew.incarnation = hello.incarnation;
    anew.has_history = is_new && has_history_;
    anew.steps = agent.steps;
    anew.open_windows = std::move(agent.open_windows);
    agent = std::move(anew);
  }
  if (load_tokens_.empty()) load_tokens_ = Grid<std::uint64_t>(hello.layer_ids.size(), hello.experts);
  agent.peer = peer;
  agent.rank = hello.rank;
  agent.heard_at = now;
  return std::nullopt;
}

Agent* AgentRegistry::find(const std::string& peer, const std::string& worker, std::uint64_t incarnation) {
  const auto entry = agents_.find(worker);
  if (entry == agents_.end() || entry->second.peer != peer || entry->second.incarnation != incarnation) return nullptr;
  return &entry->second;
}

bool AgentRegistry::is_superseded(const std::string& worker, std::uint64_t incarnation) const {
  const auto entry = agents_.find(worker);
  return entry != agents_.end() && incarnation < entry->second.incarnation;
}

Intake AgentRegistry::judge(const Agent& agent, const wire::Report& report, TimePoint now) const {
  if (report.sequence <= agent.report_sequence) return Intake::kStale;
  std::array<bool, 3> is_there{};
  for (const wire::StageCounts& stage : report.stages) {
    const auto& counted = stage.count_tokens;
    if (counted.rows() != load_tokens_.rows() || counted.cols() != load_tokens_.cols()) return Intake::kWrongShape;
    is_there[index_of(stage.stage)] = true;
    const auto& before = agent.counts[index_of(stage.stage)];
    if (!before) continue;
    if (stage.tokens < before->tokens ||
        !std::ranges::equal(before->count_tokens.cells(), counted.cells(), std::ranges::less_equal())) {
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
  for (const wire::StageCounts& stage : report.stages) {
    tokens += stage.tokens;
    // A token chooses an expert once a round.
    const auto most = stage.tokens * kRoundsMax;
    if (std::ranges::any_of(stage.count_tokens.cells(), [&](std::uint64_t count) { return count > most; }))
      return false;
  }
  if (report.steps > 0 && tokens / report.steps > limits_.tokens_per_step_max) return false;
  // The first report may tell of any length of time.
  if (agent.report_sequence == 0) return true;
  const std::chrono::duration<double> since = now - agent.reported_at + kReportJitter;
  return static_cast<double>(tokens - agent.tokens) <= limits_.tokens_per_second_max * since.count();
}

Intake AgentRegistry::take(Agent& agent, const wire::Report& report, std::uint64_t first_open, TimePoint now) {
  const Intake intake = judge(agent, report, now);
  if (intake == Intake::kShrinking || intake == Intake::kImplausible) agent.is_distrusted = true;
  if (intake != Intake::kAccepted) return intake;
  const bool is_history = std::exchange(agent.has_history, false);
  const std::uint64_t window = std::max(agent.window, first_open);
  std::uint64_t tokens = 0;
  for (const wire::StageCounts& stage : report.stages) {
    auto& before = agent.counts[index_of(stage.stage)];
    if (!before) before = {stage.stage, 0, Grid<std::uint64_t>(load_tokens_.rows(), load_tokens_.cols())};
    const auto from = before->count_tokens.cells();
    const auto to = stage.count_tokens.cells();
    for (std::size_t cell = 0; cell < to.size(); ++cell) load_tokens_.cells()[cell] += to[cell] - from[cell];
    if (!is_history) agent.open_windows.add(window, *before, stage);
    tokens += stage.tokens;
    before = stage;
  }
  tokens_ += tokens - agent.tokens;
  agent.tokens = tokens;
  if (!is_history) agent.steps += report.steps - agent.steps_of_incarnation;
  agent.steps_of_incarnation = report.steps;
  agent.window = report.window;
  agent.report_sequence = report.sequence;
  agent.reported_at = now;
  return Intake::kAccepted;
}

std::uint64_t AgentRegistry::windows_complete() const {
  return least_of_trusted(agents_, world_, [](const Agent& agent) { return agent.window; });
}

bool AgentRegistry::has_window_tags() const {
  return std::ranges::any_of(agents_, [](const auto& entry) { return entry.second.window > 0; });
}

std::uint64_t AgentRegistry::steps_complete() const {
  return least_of_trusted(agents_, world_, [](const Agent& agent) { return agent.steps; });
}

bool AgentRegistry::has_reports() const {
  return least_of_trusted(agents_, world_, [](const Agent& agent) { return agent.report_sequence; }) > 0;
}

std::vector<StageLoad> AgentRegistry::close(std::uint64_t window) {
  std::vector<std::vector<StageLoad>> workers;
  for (auto& [worker, agent] : agents_) {
    auto counted = agent.open_windows.take_until(window);
    if (!agent.is_distrusted) workers.push_back(std::move(counted));
  }
  return sum_of_workers(workers);
}

bool AgentRegistry::is_complete(TimePoint now, std::chrono::milliseconds lease) const {
  return agents_.size() == world_ && std::all_of(agents_.begin(), agents_.end(), [&](const auto& entry) {
           return now - entry.second.heard_at <= lease;
         });
}

}  // namespace evenkeel::rebalancer
