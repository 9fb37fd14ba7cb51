#include "pipeline/trace/npz_layers.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/trace/reading.h"

namespace evenkeel {

Status read_moe_layers(const std::string& path, const NpzArchive& archive, RecordingHeader& header) {
  if (!archive.has("moe_layer_ids")) {
    if (archive.has("layer_ids")) header.moe_layer_ids = header.layer_ids;
    return {};
  }
  EVENKEEL_TRY(values, archive.integers("moe_layer_ids", kLayersMax));
  for (const std::int64_t id : values) {
    const bool is_later = header.moe_layer_ids.empty() || id > header.moe_layer_ids.back();
    if (!is_later || !std::ranges::binary_search(header.layer_ids, id)) {
      return invalid_input(
          fmt::format("{}: moe_layer_ids holds {}; give layers of layer_ids, each once, in ascending order", path, id));
    }
    header.moe_layer_ids.push_back(static_cast<int>(id));
  }
  return {};
}

}  // namespace evenkeel
