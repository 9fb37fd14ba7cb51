#include "pipeline/engine/placement_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/engine/evenkeel_placement.h"
#include "pipeline/engine/sglang_placement.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {

const std::vector<std::string>& placement_format_names() {
  static const std::vector<std::string> names{"evenkeel", "sglang"};
  return names;
}

std::optional<PlacementFormat> placement_format(std::string_view name) {
  if (name == "evenkeel") return PlacementFormat::kEvenkeel;
  if (name == "sglang") return PlacementFormat::kSglang;
  return std::nullopt;
}

Result<std::string> placement_text(const Placement& placement, PlacementFormat format, const ModelShape& shape) {
  if (format == PlacementFormat::kEvenkeel) return evenkeel_placement_text(placement);
  return sglang_placement_text(placement, shape);
}

Result<Placement> read_placement(const std::filesystem::path& path, const ModelShape& shape, std::size_t gpus,
                                 std::size_t nodes) {
  EVENKEEL_TRY(document, read_json(path));
  if (document.is_object() && document.contains("schema")) return parse_evenkeel_placement(document, path.string());
  if (document.is_object() && document.contains("physical_to_logical_map")) {
    return parse_sglang_placement(document, path.string(), shape, gpus, nodes);
  }
  return invalid_input(fmt::format(
      "{}: it is no placement of a known format; give evenkeel's own JSON or SGLang's physical_to_logical_map",
      path.string()));
}

}  // namespace evenkeel
