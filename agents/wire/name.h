#pragma once

#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel::wire {

/// Names stand in topics: 1 to 64 printable ASCII characters without '@' and space.
[[nodiscard]] Status validate_name(std::string_view field, std::string_view name);

}  // namespace evenkeel::wire
