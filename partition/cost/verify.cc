#include "partition/cost/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <vector>

namespace evenkeel {
namespace {

/// Rounding of sums of shares and of ratios.
constexpr double kRounding = 1e-9;
/// What a solver may round off an item's load: its unit of load.
constexpr double kItemRoundingTokens = 1.0 / 720720;
/// What single precision may round off an item's load in a window, as a ratio.
constexpr double kWindowRounding = 1e-6;

Status verify_layer(const Placement& placement, const Placement::Fields& fields, std::size_t layer) {
  std::map<int, double> share_of_expert;
  std::set<std::pair<std::size_t, int>> seen;
  for (std::size_t slot = 0; slot < fields.expert_of_slot.cols(); ++slot) {
    const int expert = fields.expert_of_slot(layer, slot);
    const std::size_t gpu = placement.gpu_of(SlotId(slot)).index();
    if (!seen.insert({gpu, expert}).second) {
      return failure(
          fmt::format("verifier: layer {} has expert {} twice on GPU {}", fields.layer_ids[layer], expert, gpu));
    }
    share_of_expert[expert] += placement.share(LayerId(layer), SlotId(slot));
  }
  if (share_of_expert.size() != fields.experts ||
      share_of_expert.rbegin()->first != static_cast<int>(fields.experts) - 1) {
    return failure(fmt::format("verifier: layer {} places {} of {} experts", fields.layer_ids[layer],
                               share_of_expert.size(), fields.experts));
  }
  for (const auto& [expert, share] : share_of_expert) {
    if (share < 1.0 - kRounding || share > 1.0 + kRounding) {
      return failure(
          fmt::format("verifier: layer {} serves {} of expert {}'s tokens", fields.layer_ids[layer], share, expert));
    }
  }
  return {};
}

/// What a share of each expert's tokens costs a GPU of speed 1: tokens, or modelled time.
class Costs {
 public:
  Costs(const RoutingProfile& profile, const std::optional<StepTimeModel>& time_model, std::size_t layer)
      : time_model_(time_model), amounts_(profile.shape.experts, 0.0) {
    const Grid<std::uint64_t> load = profile.total_load();
    if (time_model)
      amounts_ = expert_chances(profile, *time_model, load, layer);
    else
      std::ranges::copy(load[layer], amounts_.begin());
  }
  [[nodiscard]] double of(int expert, double share) const {
    const double amount = amounts_[static_cast<std::size_t>(expert)] * share;
    return time_model_ ? copy_time(*time_model_, amount).count() : amount;
  }
  /// Of all experts, each on one GPU.
  [[nodiscard]] double total() const {
    double sum = 0;
    for (std::size_t expert = 0; expert < amounts_.size(); ++expert) sum += of(static_cast<int>(expert), 1.0);
    return sum;
  }

 private:
  const std::optional<StepTimeModel>& time_model_;
  std::vector<double> amounts_;
};

Status verify_load(const Placement& placement, const RoutingProfile& profile, const Cluster& cluster,
                   const std::optional<StepTimeModel>& time_model, std::size_t layer, double cap_ratio) {
  const auto& fields = placement.fields();
  const Costs costs(profile, time_model, layer);
  std::map<std::size_t, double> cost_of_gpu;
  for (std::size_t slot = 0; slot < fields.expert_of_slot.cols(); ++slot) {
    cost_of_gpu[placement.gpu_of(SlotId(slot)).index()] +=
        costs.of(fields.expert_of_slot(layer, slot), placement.share(LayerId(layer), SlotId(slot)));
  }
  double speeds = 0;
  for (const auto& [gpu, cost] : cost_of_gpu) speeds += cluster.speed(GpuId(gpu));
  const double mean = costs.total() / speeds;
  const double slack = kItemRoundingTokens * static_cast<double>(std::ranges::max(fields.slots_of_gpu));
  for (const auto& [gpu, cost] : cost_of_gpu) {
    const double weighed = cost / cluster.speed(GpuId(gpu));
    if (weighed > mean * (cap_ratio + (time_model ? kWindowRounding : kRounding)) + (time_model ? 0.0 : slack)) {
      return failure(fmt::format("verifier: layer {} GPU {} carries {} times the mean load; the cap is {}",
                                 fields.layer_ids[layer], gpu, weighed / mean, cap_ratio));
    }
  }
  return {};
}

/// max / mean GPU load of a layer in each window with load in it, the largest first.
std::vector<double> window_ratios(const Placement& placement, const RoutingProfile& profile, std::size_t layer) {
  const auto& fields = placement.fields();
  std::vector<double> ratios;
  for (const StageLoad& window : profile.windows) {
    std::vector<double> load_of_gpu(fields.slots_of_gpu.size(), 0.0);
    for (std::size_t slot = 0; slot < fields.expert_of_slot.cols(); ++slot) {
      load_of_gpu[slot / (fields.expert_of_slot.cols() / load_of_gpu.size())] +=
          static_cast<double>(window.load_tokens(layer, fields.expert_of_slot(layer, slot))) *
          placement.share(LayerId(layer), SlotId(slot));
    }
    const double total = std::accumulate(load_of_gpu.begin(), load_of_gpu.end(), 0.0);
    if (total > 0)
      ratios.push_back(*std::ranges::max_element(load_of_gpu) * static_cast<double>(load_of_gpu.size()) / total);
  }
  std::ranges::sort(ratios, std::ranges::greater());
  return ratios;
}

}  // namespace

Status verify(const Placement& placement, const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant,
              std::span<const double> z_star, double load_slack_ratio, const std::optional<StepTimeModel>& time_model) {
  const auto& fields = placement.fields();
  if (fields.layer_ids != profile.shape.layer_ids || fields.experts != profile.shape.experts) {
    return failure("verifier: the placement is not of the profile's model");
  }
  if (fields.slots_of_gpu.size() != cluster.gpus || fields.nodes != cluster.nodes ||
      fields.expert_of_slot.cols() != fields.experts + redundant) {
    return failure(fmt::format("verifier: {} slots on {} GPUs and {} nodes; asked for were {} on {} and {}",
                               fields.expert_of_slot.cols(), fields.slots_of_gpu.size(), fields.nodes,
                               fields.experts + redundant, cluster.gpus, cluster.nodes));
  }
  for (std::size_t gpu = 0; gpu < fields.slots_of_gpu.size(); ++gpu) {
    const bool is_as_asked = cluster.slots.empty()
                                 ? fields.slots_of_gpu[gpu] * cluster.gpus == fields.expert_of_slot.cols()
                                 : fields.slots_of_gpu[gpu] == cluster.slots[gpu];
    if (!is_as_asked) {
      return failure(fmt::format("verifier: GPU {} has {} of {} slots", gpu, fields.slots_of_gpu[gpu],
                                 fields.expert_of_slot.cols()));
    }
  }
  for (std::size_t layer = 0; layer < fields.layer_ids.size(); ++layer) {
    EVENKEEL_TRY_STATUS(verify_layer(placement, fields, layer));
    if (!z_star.empty())
      EVENKEEL_TRY_STATUS(
          verify_load(placement, profile, cluster, time_model, layer, z_star[layer] * (1.0 + load_slack_ratio)));
  }
  return {};
}

Status verify_survival(const Placement& placement) {
  const auto& fields = placement.fields();
  const std::size_t gpus_per_node = fields.slots_of_gpu.size() / fields.nodes;
  for (std::size_t layer = 0; layer < fields.layer_ids.size(); ++layer) {
    std::map<int, std::set<std::size_t>> gpus;
    std::map<int, std::set<std::size_t>> nodes;
    for (std::size_t slot = 0; slot < fields.expert_of_slot.cols(); ++slot) {
      const std::size_t gpu = placement.gpu_of(SlotId(slot)).index();
      gpus[fields.expert_of_slot(layer, slot)].insert(gpu);
      nodes[fields.expert_of_slot(layer, slot)].insert(gpu / gpus_per_node);
    }
    for (const auto& [expert, on] : gpus) {
      if (on.size() < 2 || (fields.nodes > 1 && nodes[expert].size() < 2)) {
        return failure(fmt::format("verifier: layer {} would not survive GPU {}{}: it alone has expert {}",
                                   fields.layer_ids[layer], *on.begin(), on.size() < 2 ? "" : "'s node", expert));
      }
    }
  }
  return {};
}

Status verify_windows(const Placement& placement, const RoutingProfile& profile, const Robust& robust,
                      std::span<const double> z_star, double load_slack_ratio) {
  for (std::size_t layer = 0; layer < z_star.size(); ++layer) {
    const auto ratios = window_ratios(placement, profile, layer);
    if (ratios.empty()) continue;
    const double counted = std::max(1.0, (1.0 - robust.quantile) * static_cast<double>(ratios.size()));
    double sum = 0;
    for (std::size_t rank = 0; rank < ratios.size(); ++rank)
      sum += ratios[rank] * std::clamp(counted - static_cast<double>(rank), 0.0, 1.0);
    const double cap_ratio = z_star[layer] * (1.0 + load_slack_ratio);
    if (sum / counted > cap_ratio + kWindowRounding) {
      return failure(fmt::format("verifier: layer {} has a robust largest load of {} times the mean; the cap is {}",
                                 placement.fields().layer_ids[layer], sum / counted, cap_ratio));
    }
  }
  return {};
}

}  // namespace evenkeel
