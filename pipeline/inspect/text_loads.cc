#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "pipeline/inspect/text_sections.h"
#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

/// Lines of a drift picture; more layers share a line.
constexpr std::size_t kHeatLines = 16;

std::vector<std::string> skew_cells(const std::string& name, const LoadSkew& skew) {
  return {name,
          figure(skew.hottest_ratio, 2),
          figure(skew.variation, 2),
          fmt::format("{:.1f} %", 100 * skew.top_tenth_share),
          figure(skew.gini, 3),
          figure(skew.entropy, 3),
          fmt::format("{:g}", skew.cold_experts)};
}

/// Loads of a layer over their mean, hottest first.
std::vector<double> sorted_ratios(std::span<const std::uint64_t> load_tokens) {
  std::vector<double> ratios(load_tokens.begin(), load_tokens.end());
  const double mean = std::accumulate(ratios.begin(), ratios.end(), 0.0) / static_cast<double>(ratios.size());
  for (double& ratio : ratios) ratio /= mean;
  std::ranges::sort(ratios, std::greater<>());
  return ratios;
}

std::string load_picture(const Inspection& inspection, const PlotStyle& style) {
  std::vector<std::size_t> by_skew(inspection.skew.size());
  std::iota(by_skew.begin(), by_skew.end(), std::size_t{0});
  std::ranges::stable_sort(by_skew, {}, [&](std::size_t layer) { return inspection.skew[layer].hottest_ratio; });
  const double full = inspection.skew[by_skew.back()].hottest_ratio;
  std::string text = fmt::format("\n  expert loads, hottest first; full height is {:.2f} x the mean\n", full);
  std::vector<std::pair<const char*, std::size_t>> shown{{"most even", by_skew.front()}};
  if (by_skew.size() > 2) shown.emplace_back("median", by_skew[by_skew.size() / 2]);
  if (by_skew.size() > 1) shown.emplace_back("most skewed", by_skew.back());
  constexpr std::size_t kLabelWidth = 26;
  for (const auto& [name, layer] : shown) {
    text +=
        fmt::format("  layer {:<4} {:<12} {}\n", layer_number(inspection, layer), name,
                    sparkline(sorted_ratios(inspection.load_tokens[layer]), full, style.width - kLabelWidth, style));
  }
  return text;
}

std::string source_text(const Drift& drift) {
  switch (drift.parts.source) {
    case PartSource::kMarked:
      return fmt::format("{} windows that the trace marks", drift.parts.size());
    case PartSource::kLoads:
      return fmt::format("{} windows of loads", drift.parts.size());
    case PartSource::kSequences:
      return fmt::format("the trace marks no windows: its sequences in file order, in {} parts", drift.parts.size());
  }
  return "";
}

std::vector<std::string> distance_cells(const std::string& name, const LoadDistance& distance,
                                        const Inspection& inspection) {
  const bool has_ratio = distance.variation_mean && distance.noise_mean && *distance.noise_mean > 0;
  return {name,
          figure(distance.variation_mean, 3),
          figure(distance.noise_mean, 3),
          has_ratio ? fmt::format("{:.1f} x", *distance.variation_mean / *distance.noise_mean) : "-",
          figure(distance.variation_worst, 3),
          distance.variation_worst ? fmt::format("{}", layer_number(inspection, distance.worst_layer)) : "-",
          figure(distance.cosine_mean, 3)};
}

/// Mean of a figure over the steps that have it.
std::optional<double> mean_of(const std::vector<LoadDistance>& steps, std::optional<double> LoadDistance::*member) {
  double sum = 0;
  double count = 0;
  for (const LoadDistance& step : steps) {
    if (!(step.*member)) continue;
    sum += *(step.*member);
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

/// All steps as one row: means, and the worst layer of any step.
LoadDistance mean_step(const std::vector<LoadDistance>& steps) {
  const auto worst = std::ranges::max_element(steps, {}, &LoadDistance::variation_worst);
  return {0,
          0,
          {},
          mean_of(steps, &LoadDistance::variation_mean),
          worst->variation_worst,
          worst->worst_layer,
          mean_of(steps, &LoadDistance::cosine_mean),
          mean_of(steps, &LoadDistance::noise_mean)};
}

std::string drift_table(const Inspection& inspection) {
  Table table({"", "distance", "noise", "over noise", "worst layer", "layer", "cosine"});
  const auto name = [](const char* what, const Drift& drift, const LoadDistance& distance) {
    return fmt::format("{}{} to {}", what, drift.parts.names[distance.from], drift.parts.names[distance.to]);
  };
  if (const auto& drift = inspection.drift) {
    if (drift->steps.size() > 1) {
      table.add(
          distance_cells(fmt::format("mean of {} steps", drift->steps.size()), mean_step(drift->steps), inspection));
      const auto largest = std::ranges::max_element(drift->steps, {}, &LoadDistance::variation_mean);
      table.add(distance_cells(name("largest step, ", *drift, *largest), *largest, inspection));
    }
    table.add(distance_cells(name("first to last, ", *drift, drift->first_to_last), drift->first_to_last, inspection));
  }
  if (const auto& drift = inspection.stage_drift) {
    for (const LoadDistance& step : drift->steps) table.add(distance_cells(name("", *drift, step), step, inspection));
    if (drift->steps.size() > 1) {
      table.add(distance_cells(name("", *drift, drift->first_to_last), drift->first_to_last, inspection));
    }
  }
  return table.text();
}

/// A line a layer (or some layers), a character a step: how far each window's loads are from those of the one before.
std::string drift_picture(const Inspection& inspection, const PlotStyle& style) {
  const Drift& drift = *inspection.drift;
  double full = 0;
  for (const LoadDistance& step : drift.steps) full = std::max(full, step.variation_worst.value_or(0.0));
  if (drift.steps.size() < 2 || full == 0) return "";
  constexpr std::size_t kLabelWidth = 20;
  const std::size_t layers = inspection.shape.model.layers();
  const std::size_t lines = std::min(layers, kHeatLines);
  std::string text =
      fmt::format("\n  distance from the window before, a column each; {} is 0 to {:.3f}\n", heat_legend(style), full);
  for (std::size_t line = 0; line < lines; ++line) {
    const std::size_t begin = line * layers / lines;
    const std::size_t end = (line + 1) * layers / lines;
    std::vector<std::optional<double>> cells;
    for (const LoadDistance& step : drift.steps) {
      double sum = 0;
      double count = 0;
      for (std::size_t layer = begin; layer < end; ++layer) {
        if (!step.variation_by_layer[layer]) continue;
        sum += *step.variation_by_layer[layer];
        ++count;
      }
      cells.push_back(count > 0 ? std::optional(sum / count) : std::nullopt);
    }
    const int first = layer_number(inspection, begin);
    const std::string label = end - begin == 1
                                  ? fmt::format("layer {}", first)
                                  : fmt::format("layers {} to {}", first, layer_number(inspection, end - 1));
    text +=
        fmt::format("  {:<{}}{}\n", label, kLabelWidth - 2, heat_strip(cells, full, style.width - kLabelWidth, style));
  }
  return text;
}

}  // namespace

std::string skew_section(const Inspection& inspection, const PlotStyle& style) {
  std::string text = section_title("SKEW", "load of a layer's experts, all windows together", style);
  const std::size_t worst = most_skewed_layer(inspection.skew);
  Table table({"", "hottest/mean", "std/mean", "top 10 %", "Gini", "entropy", "cold"});
  table.add(skew_cells("mean of layers", mean_skew(inspection.skew)));
  table.add(skew_cells(fmt::format("layer {} (most skewed)", layer_number(inspection, worst)), inspection.skew[worst]));
  text += table.text() + load_picture(inspection, style);
  if (const auto& balance = inspection.contiguous) {
    text += fmt::format("\n  placed in order on {} GPUs: largest over mean GPU load {:.2f}, worst layer {:.2f}\n",
                        balance->gpus, balance->imbalance_mean, balance->imbalance_worst);
  }
  return text;
}

std::string drift_section(const Inspection& inspection, const PlotStyle& style) {
  if (!inspection.drift && !inspection.stage_drift) return "";
  std::string about = "share of a layer's load that moves to other experts";
  if (inspection.drift) about += "; " + source_text(*inspection.drift);
  std::string text = section_title("DRIFT", "", style);
  text.pop_back();
  text += "  " + wrapped(about, style.width - 7, 2) + drift_table(inspection);
  if (inspection.drift) text += drift_picture(inspection, style);
  return text;
}

}  // namespace evenkeel
