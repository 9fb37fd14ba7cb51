#include "pipeline/trace/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace evenkeel {

std::optional<std::uint64_t> whole_count(double number) {
  if (!(number >= 0 && number <= static_cast<double>(kCountMax)) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

std::string fused_expert_hint(std::size_t found, std::size_t experts) {
  if (found != experts + 1) return "";
  return fmt::format(
      "; where expert {} is a shared expert that the engine fused into the routed ones, switch that off and record "
      "again "
      "(SGLang: --disable-shared-experts-fusion)",
      experts);
}

Status check_experts(const std::string& path, std::size_t experts, const ReadOptions& options) {
  if (experts == 0 || experts > kExpertsMax) {
    return invalid_input(
        fmt::format("{}: it counts {} experts of a layer; 1 to {} are accepted", path, experts, kExpertsMax));
  }
  if (options.experts && *options.experts != experts) {
    return invalid_input(
        fmt::format("{}: it counts {} experts but {}; make them agree{}", path, experts,
                    options.model.empty() ? fmt::format("experts is {}", *options.experts)
                                          : fmt::format("model {} has {}", options.model, *options.experts),
                    fused_expert_hint(experts, *options.experts)),
        {options.model.empty() ? "experts" : "model"});
  }
  return {};
}

void report_progress(const ReadOptions& options, std::uint64_t done, std::uint64_t total) {
  if (options.progress) options.progress(total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total));
}

Result<RowLayers> number_rows(std::size_t rows, const ReadOptions& options, const std::string& where) {
  EVENKEEL_TRY(layers, layers_of_rows(rows, options, where));
  RowLayers numbered;
  for (const std::optional<int>& layer : layers) {
    if (layer) numbered.layer_ids.push_back(*layer);
  }
  auto& ids = numbered.layer_ids;
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.empty()) {
    return invalid_input(
        fmt::format("{}: none of its {} rows is an MoE layer of the model; check the model", where, rows), {"model"});
  }
  for (const std::optional<int>& layer : layers) {
    numbered.layer_of_row.emplace_back();
    if (layer)
      numbered.layer_of_row.back() = static_cast<std::uint32_t>(std::ranges::lower_bound(ids, *layer) - ids.begin());
  }
  return numbered;
}

}  // namespace evenkeel
