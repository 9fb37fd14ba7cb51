#pragma once

#include <nlohmann/json.hpp>

#include "pipeline/inspect/inspection.h"

namespace evenkeel {

/// The document "evenkeel.inspect/1" (docs/reference/inspect.md); absent figures are null. `options` is what the
/// figures were made with.
[[nodiscard]] nlohmann::ordered_json inspection_json(nlohmann::ordered_json options, const Inspection& inspection);

}  // namespace evenkeel
