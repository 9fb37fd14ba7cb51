#include "partition/problem/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace evenkeel {
namespace {

/// A budget that only tells the time.
Budget stopwatch() { return Budget::wall(std::chrono::hours(1)); }

}  // namespace

Status validate(const Effort& effort) {
  if (!(effort.time.count() >= 0 && effort.time <= std::chrono::hours(1000))) {
    return invalid_input(fmt::format("time is {} s; give 0 or more, at most 1000 h", effort.time.count()));
  }
  if (effort.threads < 1 || effort.threads > 2) {
    return invalid_input(fmt::format("threads is {}; give 1 or 2", effort.threads));
  }
  return {};
}

Run::Run(Effort effort, Diagnostics diagnostics, StageObserver observer)
    : effort_(effort), diagnostics_(diagnostics), observer_(std::move(observer)), clock_(stopwatch()) {}

void Run::begin_budget() {
  if (effort_.work_units) {
    budget_.reset(new Budget(Budget::work(*effort_.work_units)));
    return;
  }
  const double time = effort_.time.count();
  const double setup = seconds();
  const double on_top = std::min(setup, 0.05 * time + 0.2);
  budget_.reset(new Budget(Budget::wall(std::chrono::duration<double>(std::max(0.0, time - setup + on_top)))));
}

void Run::begin_stage(std::string name, double value_before) {
  if (observer_) observer_(name);
  stages_.push_back({std::move(name), 0, value_before, value_before, std::nullopt});
  stage_began_ = seconds();
}

StageReport& Run::end_stage(double value_after) {
  StageReport& stage = stages_.back();
  stage.seconds = seconds() - stage_began_;
  stage.value_after = value_after;
  return stage;
}

}  // namespace evenkeel
