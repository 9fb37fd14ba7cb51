#pragma once

#include <chrono>
#include <nlohmann/json.hpp>

#include "rebalancer/server/server.h"

namespace evenkeel::rebalancer {

/// What the service knows beside its server.
struct StatusContext {
  std::chrono::seconds uptime{0};
  std::chrono::steady_clock::time_point now;
  bool is_draining = false;
};

/// {"schema": "evenkeel.status/1", ...}; docs/reference/rebalancer.md describes it. Cost: a line an agent.
[[nodiscard]] nlohmann::ordered_json status_json(const Server& server, const StatusContext& context);

}  // namespace evenkeel::rebalancer
