#pragma once

#include <string_view>

namespace evenkeel::shell {

/// Tells the service manager of a state such as "READY=1", "STOPPING=1" or "WATCHDOG=1" (sd_notify(3)). Without
/// NOTIFY_SOCKET in the environment nothing is told. Never blocks; a manager that does not listen is no failure.
void notify_service_manager(std::string_view state);

}  // namespace evenkeel::shell
