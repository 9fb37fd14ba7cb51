#pragma once

#include <cstddef>
#include <span>

#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// Whether an expert has copies on two nodes, or one copy alone.
[[nodiscard]] bool is_on_two_nodes(const ReplanSlots& slots, std::size_t expert, std::size_t nodes);

/// Exchanges slots until every expert with two copies has them on two nodes, each time the exchange that leaves the
/// lowest largest load and takes no other expert off its last second node. Returns the expert in each slot
/// [layers, slots]. Where no single exchange helps, an expert stays on its node. Slots squared an exchange.
[[nodiscard]] Grid<ExpertIndex> spread_over_nodes(std::span<const ReplanLayer> layers, std::size_t nodes);

}  // namespace evenkeel
