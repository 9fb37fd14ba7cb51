#pragma once

#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

/// Whether only this machine can reach it: ipc, or TCP on 127.0.0.0/8, [::1] or localhost. Pure.
[[nodiscard]] bool is_local_endpoint(std::string_view endpoint);

/// Fails with kInvalidInput for an endpoint that others could reach: for where nothing authenticates them. `option` is
/// the flag it came from.
[[nodiscard]] Status require_local(std::string_view option, std::string_view endpoint);

}  // namespace evenkeel::rebalancer
