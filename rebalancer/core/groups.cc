#include "rebalancer/core/groups.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "partition/foundation/check.h"

namespace evenkeel::rebalancer {
namespace {

constexpr std::size_t kModelsMax = 1024;

/// Adds what one group does; what it tells is of its model.
void append(Actions& actions, const std::string& model, Actions more) {
  for (Action& action : more) {
    if (auto* note = std::get_if<wire::Note>(&action)) note->fields.emplace_back("model", model);
  }
  actions.insert(actions.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
}

}  // namespace

Status GroupsOptions::validate() const {
  if (models_max < 1 || models_max > kModelsMax || models.size() > models_max) {
    return invalid_input(fmt::format("--max-models is {}; give {} to {}", models_max,
                                     std::max<std::size_t>(models.size(), 1), kModelsMax));
  }
  EVENKEEL_TRY_STATUS(defaults.validate());
  for (const auto& [model, options] : models) EVENKEEL_TRY_STATUS(options.validate());
  return {};
}

Result<Groups> Groups::create(GroupsOptions options, Recovery recovery) {
  EVENKEEL_TRY_STATUS(options.validate());
  Groups groups(std::move(options), recovery.term);
  for (auto& [model, recovered] : recovery.groups) {
    const auto group_options = groups.options_of(model);
    // What is not served now keeps its place in the journal.
    if (!group_options) continue;
    EVENKEEL_TRY(core, Core::create(*group_options, recovery.term, std::move(recovered)));
    groups.cores_.emplace(model, std::move(core));
  }
  return groups;
}

Actions Groups::step(const Event& event, TimePoint now) {
  if (const auto* received = std::get_if<Received>(&event)) return receive(*received, now);
  if (const auto* plan = std::get_if<PlanReady>(&event)) {
    const auto core = cores_.find(plan->model);
    Actions actions;
    if (core != cores_.end()) append(actions, plan->model, core->second.step(event, now));
    return actions;
  }
  if (const auto* control = std::get_if<Control>(&event)) {
    using enum Control::Command;
    if (control->command == kUnfreeze) standing_.erase(kFreeze);
    if (control->command == kDryRunOff) standing_.erase(kDryRunOn);
    if (control->command == kFreeze || control->command == kDryRunOn || control->command == kDrain)
      standing_[control->command] = *control;
  }
  if (const auto* reconfigured = std::get_if<Reconfigured>(&event)) {
    options_.defaults = options_.defaults.reloaded(reconfigured->options);
  }
  return tell_all(event, now);
}

Actions Groups::tell_all(const Event& event, TimePoint now) {
  Actions actions;
  for (auto& [model, core] : cores_) {
    const bool has_own_options = options_.models.contains(model);
    if (has_own_options && std::holds_alternative<Reconfigured>(event)) continue;
    append(actions, model, core.step(event, now));
  }
  return actions;
}

Actions Groups::receive(const Received& received, TimePoint now) {
  Actions actions;
  if (const auto core = cores_.find(received.model); core != cores_.end()) {
    append(actions, received.model, core->second.step(received, now));
    return actions;
  }
  auto options = options_of(received.model);
  const bool is_hello = std::holds_alternative<wire::Hello>(received.message);
  if (is_hello && options && cores_.size() < options_.models_max) {
    append(actions, received.model, add(received.model, *std::move(options), now, actions).step(received, now));
    // Whoever could not join leaves nothing behind but that it tried.
    if (const auto core = cores_.find(received.model); !core->second.running()) {
      refused_ += core->second.counters();
      cores_.erase(core);
    }
    return actions;
  }
  ++messages_for_others_;
  const std::string detail = options && is_hello
                                 ? fmt::format("{} models are served already; raise --max-models", cores_.size())
                             : options ? "say hello first"
                                       : fmt::format("model {} is not served here", received.model);
  const auto reason = options && !is_hello ? wire::RefusalReason::kUnknownAgent : wire::RefusalReason::kShapeMismatch;
  wire::Refusal refusal{reason, std::string(wire::type_name(received.message)), std::nullopt, {term_, 0}, detail};
  // Never an answer to a refusal: two sides that refuse each other would not end.
  if (std::holds_alternative<wire::Refusal>(received.message)) return actions;
  actions.push_back(wire::Note{"message_refused",
                               {{"by", "rebalancer"},
                                {"worker", received.worker},
                                {"about", refusal.about},
                                {"reason", std::string(wire::reason_name(reason))},
                                {"detail", detail}}});
  actions.push_back(Send{received.peer, received.model, std::move(refusal)});
  return actions;
}

std::optional<CoreOptions> Groups::options_of(const std::string& model) const {
  if (options_.models.empty()) return options_.defaults;
  const auto own = options_.models.find(model);
  return own == options_.models.end() ? std::nullopt : std::optional(own->second);
}

Core& Groups::add(const std::string& model, CoreOptions options, TimePoint now, Actions& actions) {
  auto core = Core::create(std::move(options), term_, {});
  EVENKEEL_CHECK(core, "the options of all groups were checked at the start");
  Core& added = cores_.emplace(model, *std::move(core)).first->second;
  for (const auto& [command, control] : standing_) append(actions, model, added.step(control, now));
  return added;
}

CoreCounters Groups::counters() const {
  CoreCounters sum = refused_;
  sum.messages_from_unknown += messages_for_others_;
  for (const auto& [model, core] : cores_) sum += core.counters();
  return sum;
}

}  // namespace evenkeel::rebalancer
