#include "partition/migrate/transfers.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

#include "partition/foundation/check.h"
#include "partition/migrate/edge_colouring.h"

namespace evenkeel {
namespace {

/// The GPU to copy from; absent where `to` holds the expert itself.
std::optional<GpuId> source(const Placement& before, const SlotChange& change, const Cluster& cluster,
                            const std::vector<bool>& lost, const std::vector<std::size_t>& sent) {
  const auto rank = [&](GpuId gpu) {
    return std::tuple(bool{lost[gpu.index()]}, cluster.node_of(gpu) != cluster.node_of(change.gpu), sent[gpu.index()],
                      gpu);
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
                                          const Cluster& cluster, const std::vector<bool>& lost) {
  std::vector<ScheduledCopy> copies;
  std::vector<std::size_t> sent(before.gpus());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const SlotChange& change = changes[i];
    const bool is_second_slot = i > 0 && changes[i - 1].layer == change.layer && changes[i - 1].gpu == change.gpu &&
                                changes[i - 1].added == change.added;
    if (is_second_slot) continue;
    const auto from = source(before, change, cluster, lost, sent);
    if (!from) continue;
    ++sent[from->index()];
    copies.push_back({{change.layer, change.added, *from, change.gpu}, lost[from->index()], 0});
  }
  return copies;
}

/// Copies between nodes get their rounds first: the fewer rounds have one, the fewer are slow.
void choose_rounds(std::vector<ScheduledCopy>& copies, const Cluster& cluster, std::size_t gpus) {
  std::vector<std::size_t> order(copies.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_partition(order.begin(), order.end(), [&](std::size_t i) {
    return cluster.node_of(copies[i].copy.from) != cluster.node_of(copies[i].copy.to);
  });
  std::vector<BipartiteEdge> edges;
  std::size_t senders = gpus;
  for (const std::size_t i : order) {
    const ExpertCopy& copy = copies[i].copy;
    const std::size_t sender = copies[i].is_from_storage ? senders++ : copy.from.index();
    edges.push_back({static_cast<std::uint32_t>(sender), static_cast<std::uint32_t>(copy.to.index())});
  }
  const std::vector<std::uint32_t> rounds = edge_colours(edges, senders);
  for (std::size_t i = 0; i < order.size(); ++i) copies[order[i]].round = rounds[i];
}

}  // namespace

Transfers plan_transfers(const Placement& before, std::span<const SlotChange> changes, const Cluster& cluster,
                         const std::vector<bool>& lost, double expert_bytes) {
  Transfers result;
  result.copies = choose_sources(before, changes, cluster, lost);
  choose_rounds(result.copies, cluster, before.gpus());
  std::vector<std::chrono::duration<double>> slowest;
  for (const auto& [copy, is_from_storage, round] : result.copies) {
    const bool is_intra = !is_from_storage && cluster.node_of(copy.from) == cluster.node_of(copy.to);
    double& bytes = is_from_storage ? result.storage_bytes
                    : is_intra      ? result.intra_node_bytes
                                    : result.inter_node_bytes;
    bytes += expert_bytes;
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
