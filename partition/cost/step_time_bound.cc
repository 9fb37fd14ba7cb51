#include "partition/cost/step_time_bound.h"

#include <algorithm>
#include <numeric>

#include "partition/cost/bounds.h"

namespace evenkeel {

std::chrono::duration<double> step_time_bound(const RoutingProfile& profile, std::size_t gpus, std::size_t redundant,
                                              const StepTimeModel& model) {
  const Grid<std::uint64_t> load = profile.total_load();
  const auto batch = static_cast<double>(model.batch_tokens);
  std::chrono::duration<double> total{0};
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const std::uint64_t layer_load = std::accumulate(load[layer].begin(), load[layer].end(), std::uint64_t{0});
    if (layer_load == 0) continue;
    const double per_token = model.experts_per_token / static_cast<double>(layer_load);
    std::chrono::duration<double> all_gpus{0};
    for (const std::uint64_t tokens : load[layer]) {
      const double chance = std::min(1.0, static_cast<double>(tokens) * per_token);
      all_gpus += copy_time(model, chance);
    }
    const std::chrono::duration<double> largest =
        model.compute_per_token * (batch * per_token * load_bound(load[layer], gpus, redundant));
    total += std::max(all_gpus / static_cast<double>(gpus), largest) + model.other_per_layer;
  }
  return total;
}

}  // namespace evenkeel
