#pragma once

#include <cstddef>

#include "partition/foundation/budget.h"
#include "partition/model/arrangement.h"

namespace evenkeel {

/// Renames the GPUs of one layer so that, the other layers as they are, most traffic is kept: which group of items lies
/// on which node and there on which GPU, by an assignment problem in an assignment problem. Exact; loads of the groups
/// stay as they are. Layers with several rounds are left alone. Returns whether communication fell.
bool relabel_layer(Arrangement& arrangement, std::size_t layer);

/// Renames the GPUs of all layers. In a chain of layers, the best of all namings: each layer's to suit the one before.
/// Else layer after layer until nothing changes or the slice ends.
void relabel(Arrangement& arrangement, BudgetSlice& slice);

}  // namespace evenkeel
