#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/routing_profile.h"

namespace evenkeel {

/// The expert with the largest share of its layer's choices. A token chooses an expert at most once, so top-k leaves
/// none more than a k-th.
struct LargestShare {
  /// Number of the layer in the model.
  int layer = 0;
  std::size_t expert = 0;
  std::uint64_t choices = 0;
  std::uint64_t layer_choices = 0;

  [[nodiscard]] double ratio() const { return static_cast<double>(choices) / static_cast<double>(layer_choices); }
  /// The most experts that a token can have chosen.
  [[nodiscard]] std::size_t top_k_max() const { return static_cast<std::size_t>(layer_choices / choices); }
  /// As in "expert 3 of layer 5 has 6 of its layer's 9 choices".
  [[nodiscard]] std::string text() const;
};

/// Over all windows and layers; empty where there is no load. Pure.
[[nodiscard]] std::optional<LargestShare> largest_share(const std::vector<StageLoad>& windows,
                                                        const std::vector<int>& layer_ids);

}  // namespace evenkeel
