#pragma once

#include <span>
#include <string>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Largest accepted number of layers; the deepest published models have some hundred.
inline constexpr std::size_t kLayerNumbersMax = 10'000;

/// Layer numbers such as "3-60" or "0,2,4-7", strictly ascending and below kLayerNumbersMax. Fails with kInvalidInput
/// without naming the flag.
[[nodiscard]] Result<std::vector<int>> parse_layer_ranges(const std::string& text);

/// The reverse: "3-60".
[[nodiscard]] std::string layer_ranges_text(std::span<const int> layers);

}  // namespace evenkeel
