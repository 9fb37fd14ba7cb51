#include "partition/cost/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "partition/cost/path_sums.h"
#include "partition/model/migration.h"

namespace evenkeel {
namespace {

Status check_shapes(const RoutingProfile& profile, const Placement& placement, const Cluster& cluster) {
  if (!std::ranges::equal(profile.shape.layer_ids, placement.layer_ids()) ||
      profile.shape.experts != placement.experts()) {
    if (profile.shape.experts == placement.experts() && profile.shape.layers() == placement.layers()) {
      return invalid_input("the placement is for other layers than the trace has; give a placement of this model");
    }
    return invalid_input(
        fmt::format("the placement has {} layers of {} experts but the trace {} of {}; give a placement of this model, "
                    "and the number of experts where the trace does not name them all",
                    placement.layers(), placement.experts(), profile.shape.layers(), profile.shape.experts),
        {"experts"});
  }
  if (placement.gpus() != cluster.gpus || placement.nodes() != cluster.nodes) {
    return invalid_input(
        fmt::format("the placement is for {} GPUs on {} nodes but the cluster has {} on {}; give the cluster it is for",
                    placement.gpus(), placement.nodes(), cluster.gpus, cluster.nodes));
  }
  return {};
}

void measure_load(const Grid<std::uint64_t>& load_tokens, const Placement& placement, const Cluster& cluster,
                  Metrics& metrics) {
  const Grid<double> gpu_load = gpu_load_tokens(load_tokens, placement);
  std::size_t loaded = 0;
  double mean_sum = 0;
  double max_sum = 0;
  for (std::size_t layer = 0; layer < gpu_load.rows(); ++layer) {
    const auto [max, mean] = load_peak(gpu_load[layer], placement, cluster);
    metrics.imbalance_by_layer.push_back(mean > 0 ? max / mean : 0.0);
    if (mean == 0) continue;
    ++loaded;
    mean_sum += mean;
    max_sum += max;
    metrics.imbalance_mean += max / mean;
    metrics.imbalance_worst = std::max(metrics.imbalance_worst, max / mean);
    metrics.sglang_balancedness += mean / max;
    metrics.trtllm_imbalance += (max - mean) / mean;
  }
  if (loaded == 0) return;
  metrics.imbalance_mean /= static_cast<double>(loaded);
  metrics.sglang_balancedness /= static_cast<double>(loaded);
  metrics.trtllm_imbalance /= static_cast<double>(loaded);
  metrics.vllm_balancedness = mean_sum / max_sum;
  metrics.ascend_par = metrics.imbalance_mean;
}

void measure_communication(const PathSums& sums, Metrics& metrics) {
  RoundPairSums all;
  for (const RoundPairSums& pair : sums.round_pairs) {
    all.same_gpu_tokens += pair.same_gpu_tokens;
    all.same_node_tokens += pair.same_node_tokens;
    all.tokens += pair.tokens;
  }
  if (all.tokens > 0) {
    metrics.same_gpu_share = all.same_gpu_tokens / all.tokens;
    metrics.same_node_share = all.same_node_tokens / all.tokens;
  }
  RoundSums rounds;
  for (const RoundSums& round : sums.rounds) {
    rounds.gpus_touched += round.gpus_touched;
    rounds.nodes_touched += round.nodes_touched;
    rounds.tokens += round.tokens;
  }
  if (rounds.tokens > 0) {
    metrics.gpus_touched = rounds.gpus_touched / rounds.tokens;
    metrics.nodes_touched = rounds.nodes_touched / rounds.tokens;
  }
}

std::size_t duplicate_slots(const Placement& placement) {
  std::size_t duplicates = 0;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
      const auto hosted = placement.hosted(LayerId(layer), GpuId(gpu));
      for (auto slot = hosted.begin(); slot != hosted.end(); ++slot) {
        if (std::find(hosted.begin(), slot, *slot) != slot) ++duplicates;
      }
    }
  }
  return duplicates;
}

Status measure_migration(const Placement& from, const Placement& to, const StepTimeModel& model, Metrics& metrics) {
  EVENKEEL_TRY(moves, migration(from, to));
  std::vector<std::size_t> sent(to.gpus()), received(to.gpus());
  for (const ExpertCopy& copy : moves.copies) {
    // Storage serves all at once.
    if (!is_lost(from, to, copy.from)) ++sent[copy.from.index()];
    ++received[copy.to.index()];
  }
  metrics.churn = moves.churn;
  metrics.moved_bytes = static_cast<double>(moves.copies.size()) * model.expert_bytes;
  metrics.rounds =
      std::max(*std::max_element(sent.begin(), sent.end()), *std::max_element(received.begin(), received.end()));
  return {};
}

}  // namespace

LoadPeak load_peak(std::span<const double> gpu_load, const Placement& placement, const Cluster& cluster) {
  LoadPeak peak;
  double speeds = 0;
  for (std::size_t gpu = 0; gpu < gpu_load.size(); ++gpu) {
    if (placement.fields().slots_of_gpu[gpu] == 0) continue;
    const double speed = cluster.speed(GpuId(gpu));
    peak.max = std::max(peak.max, gpu_load[gpu] / speed);
    peak.mean += gpu_load[gpu];
    speeds += speed;
  }
  peak.mean /= speeds;
  return peak;
}

Grid<double> gpu_load_tokens(const Grid<std::uint64_t>& load_tokens, const Placement& placement) {
  Grid<double> load(placement.layers(), placement.gpus());
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    const auto row = placement.row(LayerId(layer));
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      load(layer, placement.gpu_of(SlotId(slot)).index()) +=
          static_cast<double>(load_tokens(layer, row[slot])) * placement.share(LayerId(layer), SlotId(slot));
    }
  }
  return load;
}

Result<Metrics> measure(const RoutingProfile& profile, const Placement& placement, const Cluster& cluster,
                        const StepTimeModel& model, Comm comm, const Placement* from) {
  EVENKEEL_TRY_STATUS(check_shapes(profile, placement, cluster));
  Metrics metrics;
  measure_load(profile.total_load(), placement, cluster, metrics);
  metrics.duplicate_slots = duplicate_slots(placement);
  std::vector<LayerTraffic> traffic;
  if (!profile.paths.empty()) {
    measure_communication(sum_paths(profile.paths, placement), metrics);
    traffic = layer_traffic(profile, placement, cluster, model, comm);
    metrics.busiest_gpu_bytes = 0;
    for (const LayerTraffic& round : traffic) *metrics.busiest_gpu_bytes += round.busiest_gpu_bytes;
  }
  metrics.step_time_seconds = step_time(profile, placement, cluster, model, traffic).count();
  if (from != nullptr) EVENKEEL_TRY_STATUS(measure_migration(*from, placement, model, metrics));
  return metrics;
}

}  // namespace evenkeel
