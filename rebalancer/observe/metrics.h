#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "rebalancer/http/http_server.h"
#include "rebalancer/net/control_socket.h"
#include "rebalancer/server/server.h"

namespace evenkeel::rebalancer {

/// Counted by the service around its server.
struct ServiceCounters {
  /// Everything that was noted, by event.
  std::map<std::string, std::uint64_t> events;
  std::uint64_t reloads_done = 0;
  std::uint64_t reloads_failed = 0;
};

/// Where the figures come from. The last two may be null.
struct MetricSources {
  const Server& server;
  const ServiceCounters& service;
  std::uint64_t log_lines_suppressed = 0;
  const ControlSocket* control = nullptr;
  const HttpServer* http = nullptr;
};

/// Every figure of the service in Prometheus' text format 0.0.4; docs/reference/rebalancer.md lists them. Labels are
/// the program's own words and the models, whose number is limited: workers and experts are in /status. Reads
/// /proc/self for memory.
[[nodiscard]] std::string metrics_text(const MetricSources& sources);

}  // namespace evenkeel::rebalancer
