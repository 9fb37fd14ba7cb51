#pragma once

#include "partition/model/arrangement.h"

namespace evenkeel {

/// Gives every GPU its number of items in every layer, and each at most one copy of an expert, by the moves and swaps
/// that lose least traffic. For assignments of graph partitioners, which miss slot counts. A layer that single swaps
/// cannot rid of doubled copies takes its row of `fallback`, a valid assignment.
void repair_slots(Arrangement& arrangement, const Assignment& fallback);

}  // namespace evenkeel
