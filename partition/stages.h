#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "partition/model/arrangement.h"
#include "partition/model/budget.h"
#include "partition/model/instance.h"
#include "partition/place.h"

namespace evenkeel {

/// Runs the solver's stages one after the other on an instance, and reports what each took and did.
class Stages {
 public:
  /// All arguments must outlive it.
  Stages(const Instance& instance, const PlaceOptions& options, Budget& budget, const StageObserver& observer);

  /// Largest load first, and nothing else.
  void pack();
  /// Swaps until each layer's largest load is the best found; that load with the slack is the cap from here on.
  void balance();
  /// Least communication within the caps: swap descents from the balanced arrangement and from METIS, the better one
  /// refined by GLPK layer by layer. Needs traffic and balance().
  void refine_communication();

  [[nodiscard]] const Assignment& assignment() const { return arrangement_->assignment(); }
  /// The assignment that balance() ended with; null before.
  [[nodiscard]] const Assignment* balanced() const { return balanced_ ? &*balanced_ : nullptr; }
  [[nodiscard]] const std::vector<StageReport>& reports() const { return reports_; }

 private:
  template <class Work>
  void run(const char* name, Work&& work);
  void refine_from_metis();
  [[nodiscard]] bool has_time_for_metis() const;
  [[nodiscard]] double value() const;

  const Instance& instance_;
  const PlaceOptions& options_;
  Budget& budget_;
  const StageObserver& observer_;
  std::optional<Arrangement> arrangement_;
  std::optional<Assignment> balanced_;
  std::vector<std::int64_t> cap_units_;
  std::vector<StageReport> reports_;
};

}  // namespace evenkeel
