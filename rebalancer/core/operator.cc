#include "rebalancer/core/operator.h"

namespace evenkeel::rebalancer {

Orders Operator::take(const Control& control, Outbox& out) {
  using enum Control::Command;
  Orders orders;
  switch (control.command) {
    case kFreeze:
      is_frozen_ = true;
      out.note("frozen", {{"reason", control.reason}});
      orders.give_up = "frozen: " + control.reason;
      break;
    case kUnfreeze:
      is_frozen_ = false;
      out.note("unfrozen", {});
      break;
    case kTrigger:
      out.note("plan_triggered", {{"reason", control.reason}});
      orders.is_triggered = true;
      break;
    case kDryRunOn:
    case kDryRunOff:
      options_.policy.is_dry_run = control.command == kDryRunOn;
      out.note(is_dry_run() ? "dry_run_began" : "dry_run_ended", {});
      orders.has_new_options = true;
      if (is_dry_run()) orders.give_up = "a dry run began";
      break;
    case kDrain:
      is_draining_ = true;
      orders.give_up = "the rebalancer ends";
      break;
  }
  return orders;
}

Orders Operator::reload(const CoreOptions& wanted) {
  options_ = options_.reloaded(wanted);
  return {.has_new_options = true, .is_triggered = false, .give_up = std::nullopt};
}

}  // namespace evenkeel::rebalancer
