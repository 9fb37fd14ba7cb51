#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/model/arrangement.h"
#include "partition/model/instance.h"
#include "partition/place.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// Runs the solver's stages one after the other on an instance, keeps the best placement within the goal, and reports
/// what each stage took and did.
class Stages {
 public:
  /// All arguments must outlive it. `bound_units` [layers] are lower bounds of the largest GPU load.
  Stages(const Instance& instance, const PlaceOptions& options, std::vector<std::int64_t> bound_units, Budget& budget,
         const StageObserver& observer);

  /// Largest load first, and nothing else.
  void pack();
  /// Begins with an assignment found elsewhere instead, in so many seconds.
  void begin(const std::string& name, Assignment assignment, double seconds);
  /// The best placement by dynamic programming; returns false where the instance is too large for it, or there is no
  /// budget.
  [[nodiscard]] bool solve_exactly();
  /// After pack(): the best largest load of each layer. It and the slack make the goal of all that follows.
  void balance();
  /// After balance(): starts, annealing and GLPK for the instance's communication.
  void search();
  /// After balance(): METIS, descent, then GLPK for the rest of the budget. Resident communication.
  void refine_from_metis();

  [[nodiscard]] const Assignment& assignment() const { return best_.assignment; }
  /// The assignment with the best largest loads; null before balance().
  [[nodiscard]] const Assignment* balanced() const { return balanced_ ? &*balanced_ : nullptr; }
  [[nodiscard]] std::vector<StageReport>& reports() { return reports_; }

 private:
  using Seconds = std::chrono::duration<double>;

  [[nodiscard]] bool has_communication() const;
  /// From the best largest load of each layer [layers].
  void set_goal(const std::vector<std::int64_t>& best_units);
  void search_resident();
  /// Resident communication under caps on several windows, by annealing and descent alone.
  void search_windows();
  void search_dispatch();
  void search_by_swaps(double share);
  void anneal_resident(double share);
  void refine_exactly(double layer_share);
  /// Whether a start of such length leaves the stages after it their time.
  [[nodiscard]] bool has_time_for(Seconds estimate, double share) const;
  /// A start, then a descent from it; the better of it and the best so far is kept.
  template <class Make>
  void try_start(const std::string& name, double descent_share, Make&& make);
  void keep_better_layers();
  /// Work takes a BudgetSlice and returns the new current assignment.
  template <class Work>
  StageReport& run(const std::string& name, double share, Work&& work);
  void set_current(Assignment assignment);
  /// Makes the current assignment the best where it is within the caps and better.
  void keep_current_if_better();
  [[nodiscard]] bool is_within_caps(const Assignment& assignment) const;
  [[nodiscard]] double value(const Assignment& assignment) const;

  const Instance& instance_;
  const PlaceOptions& options_;
  std::vector<std::int64_t> bound_units_;
  Budget& budget_;
  const StageObserver& observer_;
  /// An assignment and its objective, which takes a pass over all traffic.
  struct Candidate {
    Assignment assignment;
    double value = 0;
  };
  Candidate best_;
  /// What the running stage works on and its report is about.
  Candidate current_;
  std::optional<Assignment> balanced_;
  LoadGoal goal_;
  std::vector<StageReport> reports_;
};

}  // namespace evenkeel
