#include "rebalancer/core/agent_registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "agents/wire/frame.h"

namespace evenkeel::rebalancer {
namespace {

wire::Refusal refusal(wire::RefusalReason reason, std::string detail) {
  return {.reason = reason, .about = "hello", .known = {}, .detail = std::move(detail)};
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
    agent = Agent{};
    agent.incarnation = hello.incarnation;
    agent.load_tokens = Grid<std::uint64_t>(hello.layer_ids.size(), hello.experts);
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

Intake AgentRegistry::take(Agent& agent, const wire::Report& report) {
  const Grid<std::uint64_t>& counted = report.count_tokens;
  if (report.sequence <= agent.report_sequence) return Intake::kStale;
  if (counted.rows() != agent.load_tokens.rows() || counted.cols() != agent.load_tokens.cols()) {
    return Intake::kWrongShape;
  }
  const auto before = agent.load_tokens.cells();
  const auto after = counted.cells();
  if (report.tokens < agent.tokens || !std::ranges::equal(before, after, std::ranges::less_equal())) {
    return Intake::kShrinking;
  }
  for (std::size_t cell = 0; cell < after.size(); ++cell) load_tokens_.cells()[cell] += after[cell] - before[cell];
  tokens_ += report.tokens - agent.tokens;
  agent.tokens = report.tokens;
  agent.load_tokens = counted;
  agent.report_sequence = report.sequence;
  return Intake::kAccepted;
}

bool AgentRegistry::is_complete(TimePoint now, std::chrono::milliseconds lease) const {
  return agents_.size() == world_ && std::all_of(agents_.begin(), agents_.end(), [&](const auto& entry) {
           return now - entry.second.heard_at <= lease;
         });
}

}  // namespace evenkeel::rebalancer
