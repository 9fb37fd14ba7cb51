#include "pipeline/trace/top_k_bound.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace evenkeel {

std::string LargestShare::text() const {
  return fmt::format(
      "expert {} of layer {} has {} of its layer's {} choices, and a token chooses an expert at most once", expert,
      layer, choices, layer_choices);
}

std::optional<LargestShare> largest_share(const std::vector<StageLoad>& windows, const std::vector<int>& layer_ids) {
  std::optional<LargestShare> largest;
  for (const StageLoad& window : windows) {
    for (std::size_t row = 0; row < window.load_tokens.rows(); ++row) {
      const auto loads = window.load_tokens[row];
      const std::uint64_t sum = std::accumulate(loads.begin(), loads.end(), std::uint64_t{0});
      if (sum == 0) continue;
      const auto most = std::ranges::max_element(loads);
      const LargestShare share{layer_ids[row], static_cast<std::size_t>(most - loads.begin()), *most, sum};
      if (!largest || share.ratio() > largest->ratio()) largest = share;
    }
  }
  return largest;
}

}  // namespace evenkeel
