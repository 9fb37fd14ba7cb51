#pragma once

#include <optional>
#include <string>

#include "rebalancer/core/actions.h"
#include "rebalancer/core/control.h"
#include "rebalancer/core/core_options.h"

namespace evenkeel::rebalancer {

/// What the rest of the core must do about an operator's word, in this order.
struct Orders {
  /// Operator::options() are others now.
  bool has_new_options = false;
  /// The next window is to be planned for.
  bool is_triggered = false;
  /// Why a migration under way is to be given up, if one is.
  std::optional<std::string> give_up;
};

/// What operators, and the program itself, want of one group: the options in force, whether anything may be migrated,
/// whether plans are only told. It decides nothing else: Orders say what others must do. Pure. Not thread-safe.
class Operator {
 public:
  explicit Operator(CoreOptions options) : options_(std::move(options)) {}

  /// Takes a command and tells that it has. A drain is for good; all others can be taken back.
  [[nodiscard]] Orders take(const Control& control, Outbox& out);
  /// Takes what a running service can take of these; a dry run stays as it is.
  [[nodiscard]] Orders reload(const CoreOptions& wanted);

  [[nodiscard]] const CoreOptions& options() const { return options_; }
  /// Nothing may be planned or migrated: frozen, or the program ends.
  [[nodiscard]] bool is_held() const { return is_frozen_ || is_draining_; }
  [[nodiscard]] bool is_frozen() const { return is_frozen_; }
  [[nodiscard]] bool is_dry_run() const { return options_.policy.is_dry_run; }

 private:
  CoreOptions options_;
  bool is_frozen_ = false;
  bool is_draining_ = false;
};

}  // namespace evenkeel::rebalancer
