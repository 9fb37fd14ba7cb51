#include "pipeline/inspect/load_skew.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace evenkeel {
namespace {

LoadSkew layer_skew(std::span<const std::uint64_t> load_tokens) {
  std::vector<double> load(load_tokens.begin(), load_tokens.end());
  std::ranges::sort(load, std::greater<>());
  const double experts = static_cast<double>(load.size());
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  if (total == 0) return {.cold_experts = experts};
  const double mean = total / experts;
  LoadSkew skew;
  skew.hottest_ratio = load.front() / mean;
  const auto top_tenth = static_cast<std::ptrdiff_t>((load.size() + 9) / 10);
  skew.top_tenth_share = std::accumulate(load.begin(), load.begin() + top_tenth, 0.0) / total;
  double squares = 0;
  double ranked = 0;
  double entropy = 0;
  for (std::size_t i = 0; i < load.size(); ++i) {
    squares += (load[i] - mean) * (load[i] - mean);
    ranked += static_cast<double>(load.size() - i) * load[i];
    if (load[i] > 0) {
      entropy -= load[i] / total * std::log(load[i] / total);
    } else {
      ++skew.cold_experts;
    }
  }
  skew.variation = std::sqrt(squares / experts) / mean;
  // Half the mean absolute difference over the mean, from loads in order (Gini 1912).
  skew.gini = 2 * ranked / (experts * total) - (experts + 1) / experts;
  skew.entropy = load.size() > 1 ? entropy / std::log(experts) : 1.0;
  return skew;
}

}  // namespace

std::vector<LoadSkew> skew_of(const Grid<std::uint64_t>& load_tokens) {
  std::vector<LoadSkew> layers;
  for (std::size_t layer = 0; layer < load_tokens.rows(); ++layer) layers.push_back(layer_skew(load_tokens[layer]));
  return layers;
}

LoadSkew mean_skew(const std::vector<LoadSkew>& layers) {
  const auto mean = [&](double LoadSkew::*figure) {
    double sum = 0;
    std::size_t loaded = 0;
    for (const LoadSkew& layer : layers) {
      if (!layer.is_loaded()) continue;
      sum += layer.*figure;
      ++loaded;
    }
    return loaded > 0 ? sum / static_cast<double>(loaded) : 0.0;
  };
  return {mean(&LoadSkew::hottest_ratio), mean(&LoadSkew::variation), mean(&LoadSkew::top_tenth_share),
          mean(&LoadSkew::gini),          mean(&LoadSkew::entropy),   mean(&LoadSkew::cold_experts)};
}

std::size_t most_skewed_layer(const std::vector<LoadSkew>& layers) {
  return static_cast<std::size_t>(std::ranges::max_element(layers, {}, &LoadSkew::hottest_ratio) - layers.begin());
}

}  // namespace evenkeel
