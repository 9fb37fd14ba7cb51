#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel {

/// The content of a placement's file: JSON where it starts with { or [, a file of torch.save, else YAML. Keys set twice
/// are refused, because a map that drops the first of two rows would look whole. A recording of routing is refused by
/// name, with the command that reads it. Fails with kInvalidInput.
[[nodiscard]] Result<nlohmann::json> read_placement_document(const std::filesystem::path& path);

/// The error for a file that is a recording, of a kind that `evenkeel partition` reads.
[[nodiscard]] tl::unexpected<Error> not_a_placement(const std::filesystem::path& path, std::string_view kind);

}  // namespace evenkeel
