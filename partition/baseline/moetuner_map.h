#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "partition/baseline/integer_program.h"
#include "partition/model/instance.h"

namespace evenkeel {

struct MapSolution {
  /// [layers, clusters], in a layer every GPU once; absent where no solution was found.
  std::optional<Assignment> gpu_of_cluster;
  /// Whether it is proved to be within the gap.
  bool finished = false;
  /// Nodes of branch and bound made.
  std::uint64_t nodes = 0;
};

/// MoETuner's second integer program (arXiv 2502.06643, equations 8 to 15): with y[c, g, l] whether cluster c of layer
/// l goes to GPU g, and 1/B the weights of the objective (0 on a GPU, then inside a node, then between nodes),
///   minimise sum_l sum_{c, d} sum_{g, h} C[c, d, l] / B[g, h] y[c, g, l] y[d, h, l + 1]
///   with sum_g y[c, g, l] = 1 (14), sum_c y[c, g, l] = 1 (15).
/// The printed max (10) has no index left once g and h are summed inside it, so that it is of one number and is read as
/// none; the text's "across all GPU pairs" would be the slowest link instead. (13), equal slots over all layers,
/// follows from (15) as clusters are of equal size. The paper leaves the products open. Here, because B knows two tiers
/// only, the cost is what everything costs minus what stays on a GPU and on a node, with the products as columns
///   k[c, d, g] <= y y of GPU g:   sum_d k[c, d, g] <= y[c, g, l] and its mirror,
///   n[c, d, m] <= z z of node m:  n[c, d, m] <= z[c, m, l], sum_d n[c, d, m] <= GPUs a node x z[c, m, l], and mirrors,
///   z the sum of y over the node's GPUs:
/// G^3 columns a layer pair instead of the G^4 of the textbook's, of equal value where y is whole, and on one node with
/// a relaxation that is tight. Takes clusters as the items (cluster_instance.h); what rounds exchange inside a layer is
/// not in the paper and not looked at. Needs weights that grow with distance. Thread-safe.
[[nodiscard]] MapSolution moetuner_map(const Instance& clusters, const ProgramLimit& limit);

/// Columns of that program. Of the instance only its shape counts: items or their clusters alike.
[[nodiscard]] double moetuner_map_columns(const Instance& instance);

}  // namespace evenkeel
