#include "pipeline/replay/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "partition/foundation/check.h"

namespace evenkeel {

const LaneResult& never_of(std::span<const LaneResult> lanes) {
  const auto never = std::ranges::find(lanes, "never", &LaneResult::policy);
  EVENKEEL_CHECK(never != lanes.end(), "never always runs");
  return *never;
}

namespace {

/// What the limit on moves cost; empty where it cost nothing worth a word.
std::string limit_text(std::span<const LaneResult> lanes, const LaneResult& never, const PolicyOptions& options,
                       const LaneResult* unlimited) {
  const auto within = std::ranges::find(lanes, "evenkeel", &LaneResult::policy);
  if (unlimited == nullptr || within == lanes.end()) return "";
  const auto gain = [&](const LaneResult& lane) {
    return 100 * (lane.throughput(options) / never.throughput(options) - 1);
  };
  if (gain(*unlimited) - gain(*within) < 100 * options.gain_min_ratio) return "";
  return fmt::format(
      "; the limit of max-moves {} binds: within it evenkeel serves {:.2f} % more than never, with "
      "max-moves 1 it serves {:.2f} % more",
      options.moves_ratio_max, gain(*within), gain(*unlimited));
}

}  // namespace

ReplayVerdict verdict_of(std::span<const LaneResult> lanes, const LaneResult& never, const PolicyOptions& options,
                         const LaneResult* unlimited) {
  const LaneResult* best = nullptr;
  for (const LaneResult& lane : lanes) {
    if (lane.policy == "never" || lane.policy == "oracle") continue;
    if (best == nullptr || lane.seconds() < best->seconds()) best = &lane;
  }
  if (best == nullptr) return {false, "", "no policy that rebalances was replayed; add policy evenkeel"};
  const double gain = best->throughput(options) / never.throughput(options) - 1;
  const double throughput = best->throughput(options);
  const bool is_rebalance = gain >= options.gain_min_ratio && best->moves > 0;
  const std::string figures =
      fmt::format("{} serves {:.2f} % {} tokens a second than never, with {} slots moved in {} migrations",
                  best->policy, std::abs(gain) * 100, gain < 0 ? "fewer" : "more", best->moves, best->epochs.size());
  const std::string limit = limit_text(lanes, never, options, unlimited);
  if (is_rebalance) return {true, best->policy, figures + limit, throughput};
  return {false, best->policy,
          fmt::format("{}; from {:.2f} % more it is worth the trouble{}", figures, options.gain_min_ratio * 100, limit),
          throughput};
}

}  // namespace evenkeel
