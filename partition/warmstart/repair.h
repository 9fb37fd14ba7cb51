#pragma once

#include "partition/model/arrangement.h"

namespace evenkeel {

/// Gives every GPU its number of items in every layer, and each at most one copy of an expert, by the moves and swaps
/// that lose least traffic. For assignments of graph partitioners, which miss slot counts.
void repair_slots(Arrangement& arrangement);

}  // namespace evenkeel
