#include "partition/slots/split.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "partition/foundation/check.h"
#include "partition/foundation/parallel.h"

namespace evenkeel {
namespace {

/// A cap on GPU loads as an exact ratio.
struct Cap {
  std::int64_t load;
  std::int64_t gpus;
};

/// Tokens flow from the source over experts and the GPUs that hold them to the sink. All is multiplied by the cap's
/// denominator, so that capacities are whole.
class SplitFlow {
 public:
  SplitFlow(std::span<const std::uint64_t> load, std::span<const ExpertIndex> expert_of_slot,
            std::span<const std::uint16_t> gpu_of_slot, std::size_t gpus)
      : load_(load), graph_(load.size() + gpus + 2), source_(load.size() + gpus), sink_(source_ + 1) {
    for (std::size_t expert = 0; expert < load.size(); ++expert) expert_edges_.push_back(connect(source_, expert));
    for (std::size_t slot = 0; slot < expert_of_slot.size(); ++slot)
      slot_edges_.push_back(connect(expert_of_slot[slot], load.size() + gpu_of_slot[slot]));
    for (std::size_t gpu = 0; gpu < gpus; ++gpu) gpu_edges_.push_back(connect(load.size() + gpu, sink_));
  }

  /// Sends what the cap lets through; returns the cap that the minimum cut asks for where that is not all.
  std::optional<Cap> run(const Cap& cap) {
    const auto scaled = [&](std::size_t expert) { return static_cast<std::int64_t>(load_[expert]) * cap.gpus; };
    std::int64_t total = 0;
    for (std::size_t expert = 0; expert < load_.size(); ++expert) {
      set_capacity(expert_edges_[expert], scaled(expert));
      total += scaled(expert);
    }
    for (const Edge& edge : slot_edges_) set_capacity(edge, scaled(source(edge, graph_)));
    for (const Edge& edge : gpu_edges_) set_capacity(edge, cap.load);
    const std::int64_t flow = boost::boykov_kolmogorov_max_flow(
        graph_, get(&EdgeState::capacity, graph_), get(&EdgeState::residual, graph_), get(&EdgeState::reverse, graph_),
        get(&VertexState::predecessor, graph_), get(&VertexState::color, graph_), get(&VertexState::distance, graph_),
        get(boost::vertex_index, graph_), source_, sink_);
    if (flow == total) return std::nullopt;
    Cap needed{0, 0};
    for (std::size_t vertex = 0; vertex < source_; ++vertex) {
      if (graph_[vertex].color != boost::black_color) continue;
      vertex < load_.size() ? needed.load += static_cast<std::int64_t>(load_[vertex]) : ++needed.gpus;
    }
    return needed;
  }

  /// Of a slot's expert's tokens, after run().
  [[nodiscard]] double share(std::size_t slot, const Cap& cap) const {
    const Edge& edge = slot_edges_[slot];
    const double all = static_cast<double>(load_[source(edge, graph_)]) * static_cast<double>(cap.gpus);
    return static_cast<double>(graph_[edge].capacity - graph_[edge].residual) / all;
  }

 private:
  using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
  using Edge = Traits::edge_descriptor;
  struct VertexState {
    boost::default_color_type color;
    std::int64_t distance;
    Edge predecessor;
  };
  struct EdgeState {
    std::int64_t capacity;
    std::int64_t residual;
    Edge reverse;
  };
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, VertexState, EdgeState>;

  Edge connect(std::size_t from, std::size_t to) {
    const Edge edge = add_edge(from, to, graph_).first;
    const Edge back = add_edge(to, from, graph_).first;
    graph_[edge] = {0, 0, back};
    graph_[back] = {0, 0, edge};
    return edge;
  }
  void set_capacity(const Edge& edge, std::int64_t capacity) { graph_[edge].capacity = capacity; }

  std::span<const std::uint64_t> load_;
  Graph graph_;
  std::size_t source_;
  std::size_t sink_;
  std::vector<Edge> expert_edges_, slot_edges_, gpu_edges_;
};

}  // namespace

LayerSplit split_layer(std::span<const std::uint64_t> load, std::span<const ExpertIndex> expert_of_slot,
                       std::span<const std::uint16_t> gpu_of_slot, std::size_t gpus) {
  std::vector<std::size_t> copies(load.size());
  for (const ExpertIndex expert : expert_of_slot) ++copies[expert];
  SplitFlow flow(load, expert_of_slot, gpu_of_slot, gpus);
  Cap cap{static_cast<std::int64_t>(std::accumulate(load.begin(), load.end(), std::uint64_t{0})),
          static_cast<std::int64_t>(gpus)};
  while (const auto needed = flow.run(cap)) {
    EVENKEEL_CHECK(needed->gpus > 0, "every expert with load has a slot");
    cap = *needed;
  }
  LayerSplit split{static_cast<double>(cap.load) / static_cast<double>(cap.gpus), {}};
  for (std::size_t slot = 0; slot < expert_of_slot.size(); ++slot) {
    const ExpertIndex expert = expert_of_slot[slot];
    split.share_of_slot.push_back(load[expert] == 0 ? 1.0 / static_cast<double>(copies[expert])
                                                    : flow.share(slot, cap));
  }
  return split;
}

Placement with_uneven_shares(const Placement& placement, const RoutingProfile& profile, std::size_t threads) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<std::uint16_t> gpu_of_slot(placement.slots());
  for (std::size_t slot = 0; slot < gpu_of_slot.size(); ++slot)
    gpu_of_slot[slot] = static_cast<std::uint16_t>(placement.gpu_of(SlotId(slot)).index());
  Grid<double> shares(placement.layers(), placement.slots());
  for_each_item(placement.layers(), threads, [&](std::size_t layer) {
    const auto split = split_layer(load[layer], placement.row(LayerId(layer)), gpu_of_slot, placement.gpus());
    std::ranges::copy(split.share_of_slot, shares[layer].begin());
  });
  Placement::Fields fields = placement.fields();
  fields.shares = std::move(shares);
  auto result = Placement::create(std::move(fields));
  EVENKEEL_CHECK(result, "a flow of all load has shares that add up");
  return *std::move(result);
}

}  // namespace evenkeel
