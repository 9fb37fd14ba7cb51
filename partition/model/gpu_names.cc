#include "partition/model/gpu_names.h"

#include "partition/model/semi_assignment.h"

namespace evenkeel {
namespace {

/// The best way to put the groups of node m on the GPUs of node n.
struct NodeMatch {
  std::vector<std::size_t> gpu_in_node;
  double kept = 0;
};

NodeMatch match_nodes(const Grid<double>& kept, std::size_t gpus_per_node, std::size_t m, std::size_t n) {
  Grid<double> inside(gpus_per_node, gpus_per_node);
  for (std::size_t group = 0; group < gpus_per_node; ++group) {
    for (std::size_t gpu = 0; gpu < gpus_per_node; ++gpu)
      inside(group, gpu) = kept(m * gpus_per_node + group, n * gpus_per_node + gpu);
  }
  NodeMatch match{best_semi_assignment(inside, 1)};
  for (std::size_t group = 0; group < gpus_per_node; ++group) match.kept += inside(group, match.gpu_in_node[group]);
  return match;
}

}  // namespace

std::vector<std::size_t> best_gpu_names(const Grid<double>& kept, std::size_t nodes) {
  const std::size_t gpus_per_node = kept.rows() / nodes;
  std::vector<NodeMatch> matches;
  Grid<double> between(nodes, nodes);
  for (std::size_t m = 0; m < nodes; ++m) {
    for (std::size_t n = 0; n < nodes; ++n) {
      matches.push_back(match_nodes(kept, gpus_per_node, m, n));
      between(m, n) = matches.back().kept;
    }
  }
  const auto node_of_group = best_semi_assignment(between, 1);
  std::vector<std::size_t> names(kept.rows());
  for (std::size_t group = 0; group < names.size(); ++group) {
    const std::size_t m = group / gpus_per_node;
    const std::size_t n = node_of_group[m];
    names[group] = n * gpus_per_node + matches[m * nodes + n].gpu_in_node[group % gpus_per_node];
  }
  return names;
}

}  // namespace evenkeel
