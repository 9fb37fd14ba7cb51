#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Formats placements are written in; docs/reference/formats.md says what each can hold.
enum class PlacementFormat { kEvenkeel, kSglang, kVllm, kVllmPr49572, kTrtllm, kAscend };

/// Names of the formats as users give them, in documented order.
[[nodiscard]] const std::vector<std::string>& placement_format_names();
[[nodiscard]] std::optional<PlacementFormat> placement_format(std::string_view name);

/// The file's content. `shape` says which hidden layers an engine wants rows for; dense ones get expert i % E in slot
/// i. Pure. Fails with kInfeasible where the format cannot hold which GPU has which experts, kInvalidInput for fewer
/// hidden layers than the placement needs.
[[nodiscard]] Result<std::string> placement_text(const Placement& placement, PlacementFormat format,
                                                 const ModelShape& shape);

/// What the content lacks of the placement: nodes, shares, numbers of layers, ... Pure.
[[nodiscard]] std::vector<Note> placement_losses(const Placement& placement, PlacementFormat format,
                                                 const ModelShape& shape);

/// Reads a placement of any known format, recognised by content. Fails with kInvalidInput.
[[nodiscard]] Result<PlacementFile> read_placement_file(const std::filesystem::path& path, const PlacementHints& hints);

/// As above, of the layers and experts of `shape`. `gpus` and `nodes` are taken where the format lacks them. Fails with
/// kInvalidInput, naming both, where the file is of other layers: fewer, more, or another number of hidden layers.
[[nodiscard]] Result<Placement> read_placement(const std::filesystem::path& path, const ModelShape& shape,
                                               std::size_t gpus, std::size_t nodes);

}  // namespace evenkeel
