#include "partition/migrate/layer_changes.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <tuple>

#include "partition/migrate/edge_colouring.h"

namespace evenkeel {
namespace {

/// An expert that a GPU gives up or takes in.
struct Item {
  std::uint32_t gpu;
  ExpertIndex expert;
};

/// From the GPU that removes to the GPU that adds.
struct Edge {
  Item removal;
  Item addition;
  /// The removal waits for the addition: they are of one expert.
  bool is_condition;
};

struct Differences {
  std::vector<Item> removals;
  std::vector<Item> additions;
};

std::vector<ExpertIndex> sorted(std::span<const ExpertIndex> experts) {
  std::vector<ExpertIndex> result(experts.begin(), experts.end());
  std::ranges::sort(result);
  return result;
}

/// What each GPU gives up and takes in, in order of GPU and expert.
Differences differences(const Placement& from, const Placement& to, LayerId layer) {
  Differences result;
  for (std::uint32_t gpu = 0; gpu < from.gpus(); ++gpu) {
    const std::vector<ExpertIndex> before = sorted(from.hosted(layer, GpuId(gpu)));
    const std::vector<ExpertIndex> after = sorted(to.hosted(layer, GpuId(gpu)));
    std::vector<ExpertIndex> experts;
    std::ranges::set_difference(before, after, std::back_inserter(experts));
    for (const ExpertIndex expert : experts) result.removals.push_back({gpu, expert});
    experts.clear();
    std::ranges::set_difference(after, before, std::back_inserter(experts));
    for (const ExpertIndex expert : experts) result.additions.push_back({gpu, expert});
  }
  return result;
}

/// Moves the conditions out of the differences.
std::vector<Edge> take_conditions(const Placement& from, LayerId layer, Differences& moved) {
  std::vector<std::size_t> kept(from.experts());
  for (const ExpertIndex expert : from.row(layer)) ++kept[expert];
  for (const Item& removal : moved.removals) --kept[removal.expert];
  std::vector<std::optional<Item>> arrival(from.experts());
  std::erase_if(moved.additions, [&](const Item& addition) {
    if (kept[addition.expert] > 0 || arrival[addition.expert]) return false;
    arrival[addition.expert] = addition;
    return true;
  });
  std::vector<Edge> edges;
  std::erase_if(moved.removals, [&](const Item& removal) {
    if (!arrival[removal.expert]) return false;
    edges.push_back({removal, *arrival[removal.expert], true});
    arrival[removal.expert].reset();
    return true;
  });
  return edges;
}

/// Pairs what is left, first on the same GPU: such a pair is a change that depends on no other.
void pair_the_free(Differences& moved, std::vector<Edge>& edges) {
  Differences elsewhere;
  auto addition = moved.additions.begin();
  for (const Item& removal : moved.removals) {
    for (; addition != moved.additions.end() && addition->gpu < removal.gpu; ++addition) {
      elsewhere.additions.push_back(*addition);
    }
    if (addition != moved.additions.end() && addition->gpu == removal.gpu) {
      edges.push_back({removal, *addition++, false});
    } else {
      elsewhere.removals.push_back(removal);
    }
  }
  elsewhere.additions.insert(elsewhere.additions.end(), addition, moved.additions.end());
  for (std::size_t i = 0; i < elsewhere.removals.size(); ++i) {
    edges.push_back({elsewhere.removals[i], elsewhere.additions[i], false});
  }
}

/// Swaps of two GPUs lie side by side, so that they tend to get one colour: short cycles pack well.
void sort_swaps_together(std::vector<Edge>& edges) {
  const auto key = [](const Edge& edge) {
    const auto [low, high] = std::minmax(edge.removal.gpu, edge.addition.gpu);
    return std::tuple(low, high);
  };
  std::vector<Edge> result;
  std::ranges::stable_sort(edges, {}, key);
  for (auto begin = edges.begin(); begin != edges.end();) {
    const auto end = std::find_if(begin, edges.end(), [&](const Edge& edge) { return key(edge) != key(*begin); });
    const auto back =
        std::stable_partition(begin, end, [](const Edge& edge) { return edge.removal.gpu <= edge.addition.gpu; });
    for (auto out = begin, in = back; out != back || in != end;) {
      if (out != back) result.push_back(*out++);
      if (in != end) result.push_back(*in++);
    }
    begin = end;
  }
  edges = std::move(result);
}

/// The colour of each edge, when loops make every GPU as busy as the busiest.
std::vector<std::uint32_t> regular_colours(const std::vector<Edge>& edges, std::size_t gpus) {
  std::vector<BipartiteEdge> padded;
  std::vector<std::size_t> degree(gpus);
  for (const Edge& edge : edges) {
    padded.push_back({edge.removal.gpu, edge.addition.gpu});
    ++degree[edge.removal.gpu];
  }
  const std::size_t busiest = *std::ranges::max_element(degree);
  for (std::uint32_t gpu = 0; gpu < gpus; ++gpu) padded.insert(padded.end(), busiest - degree[gpu], {gpu, gpu});
  std::vector<std::uint32_t> colours = edge_colours(padded, gpus);
  colours.resize(edges.size());
  return colours;
}

/// The groups of one cycle of edges, each of which starts on the GPU where the one before ends. Walked backwards, each
/// change waits for the one before it, but for those that remove without a condition: there a path begins.
void add_groups(LayerId layer, std::vector<const Edge*> cycle, ChangeClass& groups) {
  const auto is_free = [](const Edge* edge) { return !edge->is_condition; };
  const auto first_free = std::ranges::find_if(cycle, is_free);
  const bool is_cycle = first_free == cycle.end();
  if (!is_cycle) std::rotate(cycle.begin(), first_free + 1, cycle.end());
  for (std::size_t i = cycle.size(); i-- > 0;) {
    const Edge& out = *cycle[i];
    const Edge& in = *cycle[i == 0 ? cycle.size() - 1 : i - 1];
    if (i + 1 == cycle.size() || !out.is_condition) groups.push_back({{}, is_cycle});
    groups.back().changes.push_back(
        {layer, GpuId(out.removal.gpu), ExpertId(out.removal.expert), ExpertId(in.addition.expert)});
  }
}

ChangeClass groups_of(LayerId layer, std::vector<const Edge*> edge_from) {
  ChangeClass groups;
  for (std::size_t gpu = 0; gpu < edge_from.size(); ++gpu) {
    std::vector<const Edge*> cycle;
    for (std::size_t at = gpu; edge_from[at] != nullptr;) {
      cycle.push_back(edge_from[at]);
      edge_from[at] = nullptr;
      at = cycle.back()->addition.gpu;
    }
    if (!cycle.empty()) add_groups(layer, std::move(cycle), groups);
  }
  return groups;
}

}  // namespace

std::vector<ChangeClass> changes_of_layer(const Placement& from, const Placement& to, LayerId layer) {
  Differences moved = differences(from, to, layer);
  std::vector<Edge> edges = take_conditions(from, layer, moved);
  pair_the_free(moved, edges);
  if (edges.empty()) return {};
  sort_swaps_together(edges);
  const std::vector<std::uint32_t> colours = regular_colours(edges, from.gpus());
  std::vector<std::vector<const Edge*>> edge_from(*std::ranges::max_element(colours) + 1,
                                                  std::vector<const Edge*>(from.gpus(), nullptr));
  for (std::size_t i = 0; i < edges.size(); ++i) edge_from[colours[i]][edges[i].removal.gpu] = &edges[i];
  std::vector<ChangeClass> classes;
  for (auto& of_colour : edge_from) classes.push_back(groups_of(layer, std::move(of_colour)));
  return classes;
}

}  // namespace evenkeel
