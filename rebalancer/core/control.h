#pragma once

#include <string>

namespace evenkeel::rebalancer {

/// What an operator, or the program itself, asks of the core.
struct Control {
  enum class Command {
    kFreeze,     ///< Nothing is planned, and what is prepared is given up, until kUnfreeze.
    kUnfreeze,   ///< Planning goes on.
    kTrigger,    ///< Plan at the next moment, whatever the interval and the new tokens are.
    kDryRunOn,   ///< Plans are made and told, never carried out.
    kDryRunOff,  ///< Plans are carried out again.
    kDrain,      ///< The program ends soon: as kFreeze, for good.
  };
  Command command = Command::kFreeze;
  /// The operator's words, for the log and for agents.
  std::string reason;
};

}  // namespace evenkeel::rebalancer
