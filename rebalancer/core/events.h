#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "agents/wire/message.h"
#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "rebalancer/core/control.h"
#include "rebalancer/core/core_options.h"

namespace evenkeel::rebalancer {

/// A message as it came in; `peer` is where an answer goes.
struct Received {
  std::string peer;
  std::string worker;
  std::string model;
  wire::Message message;
};
/// The solver's answer to StartPlanning.
struct PlanReady {
  std::string model;
  std::uint64_t plan = 0;
  Result<Placement> placement;
  double solve_seconds = 0;
};
/// Time has passed.
struct Tick {};
/// Options have been read again. Those that a running service can take are taken: CoreOptions::reloaded().
struct Reconfigured {
  CoreOptions options;
};
using Event = std::variant<Received, PlanReady, Tick, Control, Reconfigured>;

}  // namespace evenkeel::rebalancer
