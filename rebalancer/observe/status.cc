#include "rebalancer/observe/status.h"

#include <optional>

namespace evenkeel::rebalancer {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json decision_json(const DecisionRecord& decision) {
  return {{"window", decision.window},
          {"verdict", decision.is_adopt ? "adopt" : "keep"},
          {"reason", decision.reason},
          {"imbalance", decision.imbalance},
          {"drift", decision.drift},
          {"gain_seconds", or_null(decision.gain_seconds)},
          {"cost_seconds", or_null(decision.cost_seconds)},
          {"bound_seconds", or_null(decision.bound_seconds)},
          {"slots_moved", decision.moves}};
}

Json observers_json(const Core& core, TimePoint now) {
  Json observers = Json::array();
  for (const auto& [worker, observer] : core.registry().observers()) {
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(now - observer.heard_at);
    observers.push_back({{"worker", worker},
                         {"is_trusted", !observer.is_distrusted},
                         {"silent_ms", silent.count()},
                         {"reports", observer.report_sequence},
                         {"tokens", observer.tokens}});
  }
  return observers;
}

Json agents_json(const Core& core, TimePoint now) {
  Json agents = Json::array();
  for (const auto& [worker, agent] : core.registry().agents()) {
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(now - agent.heard_at);
    agents.push_back({{"worker", worker},
                      {"rank", agent.rank},
                      {"epoch", or_null(agent.epoch_applied)},
                      {"is_present", silent <= core.options().lease},
                      {"is_trusted", !agent.is_distrusted},
                      {"silent_ms", silent.count()},
                      {"reports", agent.report_sequence},
                      {"tokens", agent.tokens}});
  }
  return agents;
}

Json model_json(const std::string& model, const Core& core, TimePoint now) {
  const auto& running = core.running();
  const auto& decided = core.decided();
  return {{"model", model},
          {"epoch", running ? Json(running->epoch) : Json(nullptr)},
          {"digest", running ? Json(wire::digest_text(wire::digest(running->placement))) : Json(nullptr)},
          {"phase", core.phase()},
          {"tokens", core.registry().tokens()},
          {"windows_decided", core.windows_decided()},
          {"decisions", core.counters().decisions_keep + core.counters().decisions_adopt},
          {"last_decision", decided ? decision_json(*decided) : Json(nullptr)},
          {"agents_expected", core.registry().world()},
          {"agents", agents_json(core, now)},
          {"observers", observers_json(core, now)}};
}

}  // namespace

Json status_json(const Server& server, const StatusContext& context) {
  Json models = Json::array();
  for (const auto& [model, core] : server.groups().cores()) models.push_back(model_json(model, core, context.now));
  return {{"schema", "evenkeel.status/1"},
          {"version", EVENKEEL_VERSION},
          {"uptime_seconds", context.uptime.count()},
          {"term", server.groups().term()},
          {"is_draining", context.is_draining},
          {"is_frozen", server.frozen().has_value()},
          {"frozen_reason", server.frozen().value_or("")},
          {"is_dry_run", server.is_dry_run()},
          {"models", std::move(models)}};
}

}  // namespace evenkeel::rebalancer
