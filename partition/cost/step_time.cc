#include "partition/cost/step_time.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>

#include "partition/cost/metrics.h"
#include "partition/cost/serving.h"

namespace evenkeel {
namespace {

/// Sum over tokens of the chance that each GPU and node is touched.
struct TouchSums {
  std::vector<double> gpu;
  std::vector<double> node;

  void add(const TokenSpread& spread) {
    std::ranges::transform(gpu, spread.gpu_touched(), gpu.begin(), std::plus());
    std::ranges::transform(node, spread.node_touched(), node.begin(), std::plus());
  }
};

/// Bytes in and out of each GPU on each tier, in one round.
class Ledger {
 public:
  explicit Ledger(const Cluster& cluster)
      : gpus_per_node_(cluster.gpus_per_node()), bytes_{Grid<double>(2, cluster.gpus), Grid<double>(2, cluster.gpus)} {}

  /// Moves a token's `bytes` between `end` and every GPU it touches: once to each other node, to the GPU of `end`'s
  /// rank there, and on to that node's GPUs (hierarchical all-to-all, as DeepEP's). `outward`: from `end`, else back to
  /// it.
  void add(std::size_t end, std::span<const double> gpu_touched, std::span<const double> node_touched, double bytes,
           bool outward) {
    const std::size_t end_node = end / gpus_per_node_;
    for (std::size_t node = 0; node < node_touched.size(); ++node) {
      const std::size_t gate = node * gpus_per_node_ + end % gpus_per_node_;
      if (node != end_node) transfer(kInter, end, gate, bytes * node_touched[node], outward);
      for (std::size_t gpu = node * gpus_per_node_; gpu < (node + 1) * gpus_per_node_; ++gpu) {
        if (gpu != gate) transfer(kIntra, gate, gpu, bytes * gpu_touched[gpu], outward);
      }
    }
  }

  [[nodiscard]] LayerTraffic busiest(double scale) const {
    LayerTraffic traffic;
    for (std::size_t gpu = 0; gpu < bytes_[kIntra].cols(); ++gpu) {
      const auto larger = [&](std::size_t tier) {
        return std::max(bytes_[tier](kOut, gpu), bytes_[tier](kIn, gpu)) * scale;
      };
      traffic.intra_node_bytes = std::max(traffic.intra_node_bytes, larger(kIntra));
      traffic.inter_node_bytes = std::max(traffic.inter_node_bytes, larger(kInter));
      const auto both = [&](std::size_t direction) {
        return (bytes_[kIntra](direction, gpu) + bytes_[kInter](direction, gpu)) * scale;
      };
      traffic.busiest_gpu_bytes = std::max({traffic.busiest_gpu_bytes, both(kOut), both(kIn)});
    }
    return traffic;
  }

 private:
  static constexpr std::size_t kIntra = 0, kInter = 1, kOut = 0, kIn = 1;

  void transfer(std::size_t tier, std::size_t near, std::size_t far, double bytes, bool outward) {
    bytes_[tier](outward ? kOut : kIn, near) += bytes;
    bytes_[tier](outward ? kIn : kOut, far) += bytes;
  }

  std::size_t gpus_per_node_;
  Grid<double> bytes_[2];
};

/// Where the first real expert of a token is; replicas in turn.
std::size_t first_expert_gpu(const ServingTable& table, std::size_t layer, std::span<const ExpertIndex> chosen,
                             std::size_t token) {
  const auto first = std::ranges::find_if(chosen, [](ExpertIndex expert) { return expert != kNoExpert; });
  const auto serving = table.of(layer, *first);
  return serving[token % serving.size()].gpu;
}

/// Experts a token chooses in one round of a layer, on average. Paths may be of a sample of the tokens that loads are
/// of.
double experts_per_token(const RoutingProfile& profile, const StepTimeModel& model, std::size_t layer) {
  const TokenPaths& paths = profile.paths;
  if (paths.empty()) return paths.top_k > 0 ? static_cast<double>(paths.top_k) : model.experts_per_token;
  std::size_t choices = 0;
  for (std::size_t round = 0; round < paths.rounds(); ++round) {
    if (paths.layer_of_round[round] != layer) continue;
    for (std::size_t token = 0; token < paths.tokens(); ++token) {
      const auto chosen = paths.chosen(token, round);
      choices += chosen.size() - static_cast<std::size_t>(std::ranges::count(chosen, kNoExpert));
    }
  }
  return static_cast<double>(choices) / static_cast<double>(paths.tokens() * rounds_of(profile, layer));
}

/// The slowest GPU's compute in one round of a layer.
std::chrono::duration<double> compute_time(const RoutingProfile& profile, const Placement& placement,
                                           const Cluster& cluster, const StepTimeModel& model,
                                           const Grid<std::uint64_t>& load_tokens, std::size_t layer) {
  const std::vector<double> chances = expert_chances(profile, model, load_tokens, layer);
  std::vector<std::chrono::duration<double>> gpu_time(placement.gpus());
  const auto row = placement.row(LayerId(layer));
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    const double chance = chances[row[slot]] * placement.share(LayerId(layer), SlotId(slot));
    const GpuId gpu = placement.gpu_of(SlotId(slot));
    gpu_time[gpu.index()] += copy_time(model, chance) / cluster.speed(gpu);
  }
  return *std::ranges::max_element(gpu_time);
}

}  // namespace

std::size_t rounds_of(const RoutingProfile& profile, std::size_t layer) {
  if (profile.paths.empty()) return 1;
  return static_cast<std::size_t>(std::ranges::count(profile.paths.layer_of_round, layer));
}

std::vector<double> expert_chances(const RoutingProfile& profile, const StepTimeModel& model,
                                   const Grid<std::uint64_t>& load_tokens, std::size_t layer) {
  const auto load = load_tokens[layer];
  std::vector<double> chances(load.size(), 0.0);
  const std::uint64_t layer_load = std::accumulate(load.begin(), load.end(), std::uint64_t{0});
  if (layer_load == 0) return chances;
  const double per_token = experts_per_token(profile, model, layer) / static_cast<double>(layer_load);
  std::ranges::transform(load, chances.begin(),
                         [&](std::uint64_t tokens) { return std::min(1.0, static_cast<double>(tokens) * per_token); });
  return chances;
}

std::vector<LayerTraffic> layer_traffic(const RoutingProfile& profile, const Placement& placement,
                                        const Cluster& cluster, const StepTimeModel& model, Comm comm) {
  const TokenPaths& paths = profile.paths;
  const ServingTable table(placement);
  TokenSpread spread(table, cluster.gpus, cluster.nodes);
  std::vector<Ledger> ledger(paths.rounds(), Ledger(cluster));
  // Tokens at home, wherever that is, on their way out and on their way back.
  const TouchSums none{std::vector<double>(cluster.gpus), std::vector<double>(cluster.nodes)};
  std::vector<TouchSums> from_home(paths.rounds(), none), to_home(paths.rounds(), none);
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    std::optional<std::size_t> at;
    for (std::size_t round = 0; round < paths.rounds(); ++round) {
      const std::size_t layer = paths.layer_of_round[round];
      spread.assign(layer, paths.chosen(token, round));
      if (spread.experts() == 0) continue;
      const auto transfer = [&](TouchSums& home, double bytes, bool outward) {
        if (at) {
          ledger[round].add(*at, spread.gpu_touched(), spread.node_touched(), bytes, outward);
        } else {
          home.add(spread);
        }
      };
      transfer(from_home[round], model.dispatch_bytes, true);
      if (comm == Comm::kResident) at = first_expert_gpu(table, layer, paths.chosen(token, round), token);
      transfer(to_home[round], model.combine_bytes, false);
    }
  }
  // A GPU that is lost is nobody's home.
  std::vector<std::size_t> homes;
  for (std::size_t gpu = 0; gpu < cluster.gpus; ++gpu) {
    if (placement.fields().slots_of_gpu[gpu] > 0) homes.push_back(gpu);
  }
  const double chance = 1.0 / static_cast<double>(homes.size());
  for (std::size_t round = 0; round < paths.rounds(); ++round) {
    for (const std::size_t home : homes) {
      ledger[round].add(home, from_home[round].gpu, from_home[round].node, chance * model.dispatch_bytes, true);
      ledger[round].add(home, to_home[round].gpu, to_home[round].node, chance * model.combine_bytes, false);
    }
  }
  const double scale =
      static_cast<double>(model.batch_tokens) / static_cast<double>(std::max<std::size_t>(1, paths.tokens()));
  std::vector<LayerTraffic> traffic;
  for (const Ledger& round : ledger) traffic.push_back(round.busiest(scale));
  return traffic;
}

std::chrono::duration<double> transfer_time(const LayerTraffic& traffic, const Cluster& cluster) {
  const auto of = [](double bytes, const Link& link) {
    return std::chrono::duration<double>(bytes / (link.bandwidth_gb_per_s * 1e9));
  };
  if (traffic.busiest_gpu_bytes == 0) return std::chrono::duration<double>(0);
  const Link& outer = traffic.inter_node_bytes > 0 ? cluster.inter_node : cluster.intra_node;
  return std::max(of(traffic.intra_node_bytes, cluster.intra_node), of(traffic.inter_node_bytes, cluster.inter_node)) +
         outer.latency;
}

std::chrono::duration<double> step_time(const RoutingProfile& profile, const Placement& placement,
                                        const Cluster& cluster, const StepTimeModel& model,
                                        const std::vector<LayerTraffic>& traffic) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::chrono::duration<double> total{0};
  std::vector<std::chrono::duration<double>> compute(load.rows());
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const bool is_loaded = std::ranges::any_of(load[layer], [](std::uint64_t tokens) { return tokens > 0; });
    if (!is_loaded) continue;
    compute[layer] = compute_time(profile, placement, cluster, model, load, layer);
    total += compute[layer] * static_cast<double>(rounds_of(profile, layer)) + model.other_per_layer;
  }
  for (std::size_t round = 0; round < traffic.size(); ++round) {
    const auto transfer = transfer_time(traffic[round], cluster);
    const auto at_once = std::min(transfer, compute[profile.paths.layer_of_round[round]]) * model.overlap_ratio;
    total += transfer - at_once;
  }
  return total;
}

}  // namespace evenkeel
