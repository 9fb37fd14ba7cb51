#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "partition/foundation/result.h"

namespace evenkeel {

/// What a file of torch.save holds of a placement, as the JSON file would: SGLang's --init-expert-location takes both.
/// Other keys are left out. Fails with kInvalidInput where it is no placement.
[[nodiscard]] Result<nlohmann::json> read_torch_placement(const std::filesystem::path& path);

}  // namespace evenkeel
