#include "rebalancer/core/core_options.h"

#include <fmt/format.h>

#include "agents/wire/limits.h"

namespace evenkeel::rebalancer {

Status CoreOptions::validate() const {
  EVENKEEL_TRY_STATUS(cluster.validate());
  if (agents_expected < 1 || agents_expected > wire::kAgentsMax) {
    return invalid_input(fmt::format("--agents is {}; give 1 to {}", agents_expected, wire::kAgentsMax));
  }
  if (cluster.gpus > wire::kGpusMax) {
    return invalid_input(fmt::format("--gpus is {}; give 1 to {}", cluster.gpus, wire::kGpusMax));
  }
  EVENKEEL_TRY_STATUS(policy.validate());
  if (lease.count() < 1) return invalid_input("--lease-ms is 0; give 1 or more, several report intervals");
  const auto timeout_ms = prepare_timeout.count();
  if (timeout_ms < 1 || timeout_ms > static_cast<std::int64_t>(wire::kDeadlineMsMax)) {
    return invalid_input(
        fmt::format("--prepare-timeout-ms is {}; give 1 to {}", timeout_ms, std::uint64_t{wire::kDeadlineMsMax}));
  }
  return {};
}

CoreOptions CoreOptions::reloaded(const CoreOptions& wanted) const {
  CoreOptions options = *this;
  options.tokens_min = wanted.tokens_min;
  options.window_steps = wanted.window_steps;
  options.interval_min = wanted.interval_min;
  options.prepare_timeout = wanted.prepare_timeout;
  options.lease = wanted.lease;
  options.migrations_max = wanted.migrations_max;
  options.policy = wanted.policy;
  options.policy.cluster = cluster;
  options.policy.is_dry_run = policy.is_dry_run;
  return options;
}

}  // namespace evenkeel::rebalancer
