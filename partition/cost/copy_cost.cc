#include "partition/cost/copy_cost.h"

#include <cmath>

#include "partition/model/instance.h"

namespace evenkeel {

std::vector<Grid<std::int64_t>> copy_costs(const RoutingProfile& profile, std::size_t copies_max,
                                           const std::optional<StepTimeModel>& time_model) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<Grid<std::int64_t>> costs;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    Grid<std::int64_t>& cost = costs.emplace_back(load.cols(), copies_max);
    const auto chances = time_model ? expert_chances(profile, *time_model, load, layer) : std::vector<double>();
    for (std::size_t expert = 0; expert < load.cols(); ++expert) {
      for (std::size_t copies = 1; copies <= copies_max; ++copies) {
        const auto parts = static_cast<double>(copies);
        cost(expert, copies - 1) = time_model ? std::llround(copy_time(*time_model, chances[expert] / parts) /
                                                             std::chrono::duration<double>(1) * kCostUnitsPerSecond)
                                              : static_cast<std::int64_t>(load(layer, expert)) * kLoadUnitsPerToken /
                                                    static_cast<std::int64_t>(copies);
      }
    }
  }
  return costs;
}

}  // namespace evenkeel
