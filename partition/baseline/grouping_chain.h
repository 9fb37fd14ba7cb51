#pragma once

#include <optional>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Least communication of any map of clusters to GPUs, by dynamic programming (Viterbi) along the layers. Once it is
/// known which clusters of each layer share a node, every boundary between layers is settled on its own (match_layers):
/// the states are the G! / (s!^N N!) groupings of G clusters into N nodes of s. On one node, or with one GPU a node,
/// that is a single state and the map a chain of assignment problems; 3 states with 4 GPUs on 2 nodes, 35 with 8 on 2.
/// Nothing beyond 105 states (8 GPUs on 4 nodes, 0.3 s over 58 layers), where layers do not exchange tokens with their
/// neighbours alone, or where the budget ends first.
[[nodiscard]] std::optional<Assignment> best_chain_map(const Instance& clusters, Budget& budget);

}  // namespace evenkeel
