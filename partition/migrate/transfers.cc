#include "partition/migrate/transfers.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

#include "partition/migrate/edge_colouring.h"
#include "partition/model/check.h"

namespace evenkeel {
namespace {

/// The GPU to copy from; absent where `to` holds the expert itself.
std::optional<GpuId> source(const Placement& before, const SlotChange& change, const Cluster& cluster,
                            const std::vector<std::size_t>& sent) {
  const auto rank = [&](GpuId gpu) {
    return std::tuple(cluster.node_of(gpu) != cluster.node_of(change.gpu), sent[gpu.index()], gpu);
  };
  std::optional<GpuId> best;
  const auto row = before.row(change.layer);
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    if (row[slot] != change.added.index()) continue;
    const GpuId gpu = before.gpu_of(SlotId(slot));
    if (gpu == change.gpu) return std::nullopt;
    if (!best || rank(gpu) < rank(*best)) best = gpu;
  }
  EVENKEEL_CHECK(best, "a placement has a slot for every expert");
  return best;
}

std::vector<ScheduledCopy> choose_sources(const Placement& before, std::span<const SlotChange> changes,
                                          const Cluster& cluster) {
  std::vector<ScheduledCopy> copies;
  std::vector<std::size_t> sent(before.gpus());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const SlotChange& change = changes[i];
    const bool is_second_slot = i > 0 && changes[i - 1].layer == change.layer && changes[i - 1].gpu == change.gpu &&
                                changes[i - 1].added == change.added;
    if (is_second_slot) continue;
    const auto from = source(before, change, cluster, sent);
    if (!from) continue;
    ++sent[from->index()];
    copies.push_back({{change.layer, change.added, *from, change.gpu}, 0});
  }
  return copies;
}

/// Copies between nodes get their rounds first: the fewer rounds have one, the fewer are slow.
void choose_rounds(std::vector<ScheduledCopy>& copies, const Cluster& cluster, std::size_t gpus) {
  std::vector<std::size_t> order(copies.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_partition(
      order, [&](std::size_t i) { return cluster.node_of(copies[i].copy.from) != cluster.node_of(copies[i].copy.to); });
  std::vector<BipartiteEdge> edges;
  for (const std::size_t i : order) {
    const ExpertCopy& copy = copies[i].copy;
    edges.push_back({static_cast<std::uint32_t>(copy.from.index()), static_cast<std::uint32_t>(copy.to.index())});
  }
  const std::vector<std::uint32_t> rounds = edge_colours(edges, gpus);
  for (std::size_t i = 0; i < order.size(); ++i) copies[order[i]].round = rounds[i];
}

}  // namespace

Transfers plan_transfers(const Placement& before, std::span<const SlotChange> changes, const Cluster& cluster,
                         double expert_bytes) {
  Transfers result;
  result.copies = choose_sources(before, changes, cluster);
  choose_rounds(result.copies, cluster, before.gpus());
  std::vector<std::chrono::duration<double>> slowest;
  for (const auto& [copy, round] : result.copies) {
    const bool is_intra = cluster.node_of(copy.from) == cluster.node_of(copy.to);
    (is_intra ? result.intra_node_bytes : result.inter_node_bytes) += expert_bytes;
    const Link& link = is_intra ? cluster.intra_node : cluster.inter_node;
    const std::chrono::duration<double> time =
        std::chrono::duration<double>(expert_bytes / (link.bandwidth_gb_per_s * 1e9)) + link.latency;
    if (round >= slowest.size()) slowest.resize(round + 1);
    slowest[round] = std::max(slowest[round], time);
  }
  result.rounds = slowest.size();
  for (const auto& time : slowest) result.time += time;
  return result;
}

}  // namespace evenkeel
