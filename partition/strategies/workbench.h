#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/model/instance.h"
#include "partition/problem/load_goal.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"
#include "partition/strategies/stage.h"

namespace evenkeel {

/// What stages work on one after the other: an instance, its goal, the assignment at hand and the best one so far. Each
/// stage is recorded in the run with what it took and did.
class Workbench {
 public:
  /// All arguments must outlive it, and the run must have a budget. `bound_units` [layers] are lower bounds of the
  /// largest GPU load.
  Workbench(const Problem& problem, const Instance& instance, Run& run, std::vector<std::int64_t> bound_units);

  /// Largest load first, and nothing else.
  void pack();
  /// Begins with an assignment found elsewhere instead.
  void adopt(Assignment assignment);
  /// The best placement by dynamic programming; returns false where the instance is too large for it, or there is no
  /// budget.
  [[nodiscard]] bool solve_exactly();
  /// After pack() or adopt(): the best largest load of each layer. It and the slack make the goal of all that follows.
  void balance();

  /// After balance(): makes a start the assignment at hand. It is recorded as "<name> start".
  void begin(const Start& start);
  /// Goes on from what is at hand, with a share of what is left of the budget. Recorded under the refiner's name unless
  /// another is given.
  void refine(const Refiner& refiner, double share, std::string_view name = {});
  /// A start, a descent from it with a share of what is left, and keep_if_better().
  void try_start(const Start& start, double descent_share);
  /// Exact blocks by GLPK, whole layers with a share of what is left, then pairs of GPUs with nearly all of the rest.
  void solve_blocks(double layer_share);
  /// Makes what is at hand the best where it is within the caps and better.
  void keep_if_better();
  /// Of the best and what is at hand the better layers. For dispatch, where layers do not touch one another, and
  /// assignments within the caps.
  void keep_better_layers();
  /// Before balance(): has the modelled step of dispatch be what is measured, and by what layers are kept.
  void weigh_step(StepGoal step);
  [[nodiscard]] bool weighs_step() const { return step_.has_value(); }
  void take_best() { current_ = best_; }
  void take(Assignment assignment) { set_current(std::move(assignment)); }

  /// Whether something that takes so long leaves the stages after it their time.
  [[nodiscard]] bool has_time_for(std::chrono::duration<double> estimate, double share) const;
  [[nodiscard]] const Instance& instance() const { return instance_; }
  [[nodiscard]] Run& run() { return run_; }
  [[nodiscard]] const Assignment& best() const { return best_.assignment; }
  [[nodiscard]] const Assignment& current() const { return current_.assignment; }
  /// Of what is at hand.
  [[nodiscard]] double value() const { return current_.value; }
  /// The assignment with the best largest loads. After balance() or solve_exactly().
  [[nodiscard]] const Assignment& balanced() const { return *balanced_; }

 private:
  /// An assignment and its objective, which takes a pass over all traffic.
  struct Candidate {
    Assignment assignment;
    double value = 0;
  };

  /// Work takes a BudgetSlice and returns the assignment that is then at hand.
  template <class Work>
  StageReport& record(std::string name, double share, Work&& work);
  /// From the best largest load of each layer [layers].
  void set_goal(const std::vector<std::int64_t>& best_units);
  [[nodiscard]] StageInput input() const;
  void set_current(Assignment assignment);
  [[nodiscard]] double value_of(const Assignment& assignment) const;

  const Problem& problem_;
  const Instance& instance_;
  Run& run_;
  std::vector<std::int64_t> bound_units_;
  LoadGoal goal_;
  std::optional<StepGoal> step_;
  std::vector<std::int64_t> block_cap_units_;
  Candidate best_;
  Candidate current_;
  std::optional<Assignment> balanced_;
};

}  // namespace evenkeel
