#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/exact/layer_states.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Largest GPU load of each state of a layer, in load units [states]. Pure.
[[nodiscard]] std::vector<std::int64_t> largest_loads_of_states(const Instance& instance, const LayerStates& states,
                                                                std::size_t layer);

/// Communication of each state of a layer that no other layer has a say in [states], up to a constant of the layer:
/// dispatch, or resident traffic between rounds of the layer itself. Pure; bins x token sets, or blocks x items^2.
[[nodiscard]] std::vector<double> own_communication(const Instance& instance, const LayerStates& states,
                                                    std::size_t layer);

}  // namespace evenkeel
