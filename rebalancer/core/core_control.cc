// What operators and the program ask of the core: freeze, trigger, dry run, drain, new options.
#include <algorithm>

#include "rebalancer/core/core.h"

namespace evenkeel::rebalancer {

void Core::handle(const Control& control, TimePoint) {
  using enum Control::Command;
  const auto give_up = [&](const std::string& reason) {
    if (preparing_) return abort(reason);
    if (chain_) drop_chain(reason);
  };
  switch (control.command) {
    case kFreeze:
      is_frozen_ = true;
      note("frozen", {{"reason", control.reason}});
      give_up("frozen: " + control.reason);
      break;
    case kUnfreeze:
      is_frozen_ = false;
      note("unfrozen", {});
      break;
    case kTrigger:
      policy_.trigger();
      note("plan_triggered", {{"reason", control.reason}});
      break;
    case kDryRunOn:
    case kDryRunOff:
      options_.policy.is_dry_run = control.command == kDryRunOn;
      policy_.reconfigure(options_.policy);
      note(is_dry_run() ? "dry_run_began" : "dry_run_ended", {});
      if (is_dry_run()) give_up("a dry run began");
      break;
    case kDrain:
      is_draining_ = true;
      give_up("the rebalancer ends");
      break;
  }
}

void Core::handle(const Reconfigured& reconfigured, TimePoint) {
  options_ = options_.reloaded(reconfigured.options);
  policy_.reconfigure(options_.policy);
}

std::string_view Core::phase() const {
  if (preparing_) return "preparing";
  if (running_ && !all_applied()) return "switching";
  return planning_ ? "planning" : "idle";
}

bool Core::is_settled(TimePoint now) const {
  if (preparing_) return false;
  if (!running_) return true;
  return std::ranges::all_of(registry_.agents(), [&](const auto& entry) {
    const Agent& agent = entry.second;
    return agent.epoch_applied == running_->epoch || now - agent.heard_at > options_.lease;
  });
}

}  // namespace evenkeel::rebalancer
