#include "pipeline/inspect/inspection_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "pipeline/inspect/text_sections.h"

namespace evenkeel {
namespace {

/// Numbers in ascending order as ranges: 0, 3 to 60.
std::string ranges_text(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t first = 0; first < numbers.size();) {
    std::size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (first > 0) text += ", ";
    text += last == first ? fmt::format("{}", numbers[first]) : fmt::format("{} to {}", numbers[first], numbers[last]);
    first = last + 1;
  }
  return text;
}

std::string windows_line(const Inspection& inspection) {
  const TraceShape& shape = inspection.shape;
  std::string text = shape.windows == 0 ? "none marked" : grouped(shape.windows);
  if (shape.tokens && shape.windows > 0) text += " marked by the trace";
  if (!shape.tokens) text += " of loads";
  // Recordings that do not tell name their stage mixed.
  const bool tells_stage = std::ranges::any_of(shape.stages, [](Stage stage) { return stage != Stage::kMixed; });
  if (!tells_stage) return text;
  std::vector<std::string_view> names(shape.stages.size());
  std::ranges::transform(shape.stages, names.begin(), stage_name);
  text += fmt::format("; stages: {}", fmt::join(names, ", "));
  return text;
}

}  // namespace

std::string section_title(const std::string& title, const std::string& about, const PlotStyle& style) {
  return "\n" + emphasised(title, style) + (about.empty() ? "" : "  " + about) + "\n";
}

std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t digits = 3; digits < text.size(); digits += 4) text.insert(text.size() - digits, ",");
  return text;
}

std::string figure(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "-";
}

int layer_number(const Inspection& inspection, std::size_t row) { return inspection.shape.model.layer_ids[row]; }

std::string shape_section(const Inspection& inspection, const PlotStyle& style) {
  const TraceShape& shape = inspection.shape;
  std::string text = emphasised("SHAPE", style) + "\n";
  const auto add = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<9} {}\n", name, value);
  };
  const std::string hidden =
      shape.model.hidden_layers ? fmt::format(", of {} hidden layers", *shape.model.hidden_layers) : "";
  add("layers", fmt::format("{} ({}){}", shape.model.layers(), ranges_text(shape.model.layer_ids), hidden));
  add("experts", fmt::format("{} a layer", shape.model.experts));
  if (shape.tokens) {
    const std::size_t rounds = shape.layer_of_round.size();
    const std::string round_text = rounds == shape.model.layers() ? "" : fmt::format(", {} rounds", rounds);
    add("routing",
        fmt::format("top-{}{}; {:.2f} % of the choices are null", *shape.top_k, round_text, 100 * *shape.null_share));
    add("tokens", fmt::format("{} in {} sequences", grouped(*shape.tokens), grouped(*shape.sequences)));
  } else {
    add("routing", "loads only, no token paths");
  }
  add("windows", windows_line(inspection));
  return text;
}

std::string inspection_text(const Inspection& inspection, const PlotStyle& style) {
  std::string text = shape_section(inspection, style) + skew_section(inspection, style) +
                     drift_section(inspection, style) + path_sections(inspection, style);
  if (!inspection.notes.empty()) text += "\n";
  for (const std::string& note : inspection.notes) text += wrapped(note, style.width, 2);
  return text;
}

}  // namespace evenkeel
