#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/model/placement.h"
#include "partition/model/result.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Formats placements are written in; docs/reference/formats.md says what each can hold.
enum class PlacementFormat { kEvenkeel, kSglang };

/// Names of the formats on the command line, in documented order.
[[nodiscard]] const std::vector<std::string>& placement_format_names();
[[nodiscard]] std::optional<PlacementFormat> placement_format(std::string_view name);

/// The file's content. `shape` says which hidden layers an engine wants rows for; dense ones get expert i % E in slot
/// i. Fails with kInfeasible where the format cannot hold the placement.
[[nodiscard]] Result<std::string> placement_text(const Placement& placement, PlacementFormat format,
                                                 const ModelShape& shape);

/// Reads a placement of any known format, recognised by content, for the layers of `shape`. `gpus` and `nodes` are
/// taken where the format lacks them. Fails with kInvalidInput.
[[nodiscard]] Result<Placement> read_placement(const std::filesystem::path& path, const ModelShape& shape,
                                               std::size_t gpus, std::size_t nodes);

}  // namespace evenkeel
