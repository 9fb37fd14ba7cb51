#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "partition/foundation/budget.h"
#include "partition/search/window_loads.h"

namespace evenkeel {

/// Gives each item of a layer its best partner once, under a cap on the layer's robust peak; `loads` are those of the
/// layer. Excess beyond the cap has a price that only a fast fall of it leaves unpaid. Layer is as LayerDescent wants
/// it. Returns whether anything moved. Work: a unit a swap looked at.
template <class Layer>
bool descend_under_windows(Layer& layer, WindowLoads& loads, double peak_max, BudgetSlice& slice) {
  constexpr double kExcessPrice = 1e3;
  constexpr double kGainMin = 1e-9;
  const auto excess = [&](float peak) { return std::max(0.0, static_cast<double>(peak) - peak_max); };
  bool moved = false;
  for (std::size_t i = 0; i < layer.items() && !slice.exhausted(); ++i) {
    slice.spend(layer.items());
    std::optional<WindowSwap> best;
    double best_gain = kGainMin;
    for (std::size_t j = 0; j < layer.items(); ++j) {
      const WindowSwap swap{i, j, layer.gpu_of(i), layer.gpu_of(j)};
      if (swap.a == swap.b) continue;
      double gain = layer.swap_gain(i, j);
      // Within the cap a swap can only raise the excess.
      if (gain <= best_gain && excess(loads.peak()) == 0) continue;
      gain += kExcessPrice * (excess(loads.peak()) - excess(loads.peak_after(swap)));
      if (gain <= best_gain || layer.swap_duplicates(i, j)) continue;
      best_gain = gain;
      best = swap;
    }
    if (!best) continue;
    layer.swap(best->i, best->j);
    loads.apply(*best);
    moved = true;
  }
  return moved;
}

}  // namespace evenkeel
