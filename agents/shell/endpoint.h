#pragma once

#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel::shell {

/// Whether ZeroMQ can connect to it: tcp://HOST:PORT or ipc://PATH. Pure; whether the host is known and somebody
/// listens is not asked. Fails with kInvalidInput and a message that names `option`, the flag it came from.
[[nodiscard]] Status validate_endpoint(std::string_view option, std::string_view endpoint);

}  // namespace evenkeel::shell
