#include "partition/stages.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "partition/refine/balance.h"
#include "partition/refine/descent.h"
#include "partition/refine/exact_sweep.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_layered.h"

namespace evenkeel {
namespace {

using Seconds = std::chrono::duration<double>;

std::int64_t with_slack(std::int64_t units, double slack_ratio) {
  const long double cap = static_cast<long double>(units) * (1.0L + static_cast<long double>(slack_ratio));
  return static_cast<std::int64_t>(std::floor(cap));
}

}  // namespace

Stages::Stages(const Instance& instance, const PlaceOptions& options, Budget& budget, const StageObserver& observer)
    : instance_(instance), options_(options), budget_(budget), observer_(observer) {}

void Stages::pack() {
  run("lpt", [&] { arrangement_.emplace(instance_, lpt_assignment(instance_)); });
}

void Stages::balance() {
  pack();
  run("balance", [&] { balance_loads(*arrangement_, budget_); });
  balanced_ = arrangement_->assignment();
  for (const std::int64_t units : largest_loads(*arrangement_))
    cap_units_.push_back(with_slack(units, options_.load_slack_ratio));
}

void Stages::refine_communication() {
  run("lpt descent", [&] { descend(*arrangement_, cap_units_, std::numeric_limits<double>::infinity(), budget_); });
  if (has_time_for_metis()) refine_from_metis();
  run("glpk layers", [&] { sweep_layers(*arrangement_, cap_units_, budget_); });
}

/// METIS cannot be interrupted, so it is begun only where it should leave half of the time to what follows.
bool Stages::has_time_for_metis() const {
  if (!budget_.is_wall()) return !budget_.exhausted();
  return metis_layered_estimate(instance_) < budget_.remaining() / 2;
}

void Stages::refine_from_metis() {
  const Assignment from_lpt = arrangement_->assignment();
  const double lpt_value = arrangement_->communication();
  run("metis", [&] { arrangement_.emplace(instance_, metis_layered_assignment(instance_, options_.seed)); });
  run("metis descent", [&] { descend_to_caps(*arrangement_, cap_units_, *balanced_, budget_); });
  if (arrangement_->communication() > lpt_value) arrangement_.emplace(instance_, from_lpt);
}

template <class Work>
void Stages::run(const char* name, Work&& work) {
  if (observer_) observer_(name);
  const double before = arrangement_ ? value() : 0.0;
  const Seconds start = budget_.elapsed();
  work();
  const double after = value();
  reports_.push_back({name, (budget_.elapsed() - start).count(), reports_.empty() ? after : before, after});
}

/// Communication, or without traffic the mean over layers of max / mean load.
double Stages::value() const {
  if (instance_.has_traffic()) return arrangement_->communication();
  double sum = 0;
  std::size_t loaded = 0;
  for (std::size_t layer = 0; layer < instance_.layers(); ++layer) {
    const auto load = arrangement_->gpu_load(layer);
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    if (total == 0) continue;
    sum += static_cast<double>(std::ranges::max(load)) * static_cast<double>(load.size()) / static_cast<double>(total);
    ++loaded;
  }
  return loaded == 0 ? 0.0 : sum / static_cast<double>(loaded);
}

}  // namespace evenkeel
