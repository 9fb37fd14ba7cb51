#include "pipeline/engine/layer_ranges.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace evenkeel {
namespace {

std::optional<int> layer_number(std::string_view text) {
  int number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_layer = code == std::errc() && end == text.data() + text.size() && number >= 0 &&
                        static_cast<std::size_t>(number) < kLayerNumbersMax;
  return is_layer ? std::optional(number) : std::nullopt;
}

}  // namespace

Result<std::vector<int>> parse_layer_ranges(const std::string& text) {
  std::vector<int> layers;
  for (std::string_view rest = text; !rest.empty() || layers.empty();) {
    const std::string_view range = rest.substr(0, rest.find(','));
    const std::size_t dash = range.find('-');
    const auto first = layer_number(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : layer_number(range.substr(dash + 1));
    const bool is_cut = range.size() + 1 == rest.size();
    if (!first || !last || *first > *last || is_cut || (!layers.empty() && *first <= layers.back())) {
      return invalid_input(
          fmt::format("'{}' are no layers; give ascending numbers and ranges below {} such as 3-60 or 0,2,4-7", text,
                      kLayerNumbersMax));
    }
    for (int layer = *first; layer <= *last; ++layer) layers.push_back(layer);
    rest.remove_prefix(std::min(range.size() + 1, rest.size()));
  }
  return layers;
}

std::string layer_ranges_text(std::span<const int> layers) {
  std::string text;
  for (std::size_t first = 0; first < layers.size();) {
    std::size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", layers[first]);
    if (last > first) text += fmt::format("-{}", layers[last]);
    first = last + 1;
  }
  return text;
}

}  // namespace evenkeel
