#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/foundation/result.h"
#include "partition/problem/options.h"
#include "partition/problem/solution.h"

namespace evenkeel {

/// Called with the name of each stage as it starts.
using StageObserver = std::function<void(std::string_view stage)>;

/// Fails with kInvalidInput, naming the option, its value and the range.
[[nodiscard]] Status validate(const Effort& effort);

/// One run of a strategy on a problem: what it may spend, who watches, and the log of its stages. For one thread.
class Run {
 public:
  /// The clock starts.
  Run(Effort effort, Diagnostics diagnostics, StageObserver observer);

  /// All until now was setting up, such as making an instance. Of that time a little comes on top of what was given, so
  /// that short runs are runs. Once, before budget().
  void begin_budget();
  [[nodiscard]] Budget& budget() { return *budget_; }
  /// Since the run began, setting up included.
  [[nodiscard]] double seconds() const { return clock_.elapsed().count(); }

  [[nodiscard]] const Effort& effort() const { return effort_; }
  [[nodiscard]] std::uint64_t seed() const { return effort_.seed; }
  [[nodiscard]] std::size_t threads() const { return effort_.threads; }
  [[nodiscard]] const Ablation& without() const { return diagnostics_.without; }
  [[nodiscard]] bool wants_bound() const { return diagnostics_.has_bound; }

  /// A stage begins: it is told, and its time counts until end_stage(). One at a time.
  void begin_stage(std::string name, double value_before);
  /// The stage has ended with this value of the objective. The reference holds until the next stage begins.
  StageReport& end_stage(double value_after);
  /// The stage came to nothing and leaves the log.
  void drop_stage() { stages_.pop_back(); }
  [[nodiscard]] std::vector<StageReport> take_stages() { return std::move(stages_); }

 private:
  Effort effort_;
  Diagnostics diagnostics_;
  StageObserver observer_;
  Budget clock_;
  /// A budget cannot be moved: threads share it.
  std::unique_ptr<Budget> budget_;
  std::vector<StageReport> stages_;
  /// Of the running stage, on the run's clock.
  double stage_began_ = 0;
};

}  // namespace evenkeel
