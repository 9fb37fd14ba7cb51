#include "pipeline/inspect/inspection.h"

#include <fmt/format.h>

#include <algorithm>

#include "partition/cost/metrics.h"
#include "partition/model/placement.h"

namespace evenkeel {
namespace {

constexpr std::size_t kWindowsMax = 10000;
constexpr std::size_t kSegmentMax = 4096;
constexpr double kCacheRatioMax = 1000;

Result<ContiguousBalance> contiguous_balance(const RoutingProfile& profile, std::size_t gpus) {
  Cluster cluster;
  cluster.gpus = gpus;
  EVENKEEL_TRY_STATUS(cluster.validate());
  EVENKEEL_TRY(placement, contiguous_placement(profile.shape.layer_ids, profile.shape.experts, 0, gpus, 1));
  // Loads alone: only the balance is wanted, not what the placement sends.
  EVENKEEL_TRY(metrics,
               measure({profile.shape, profile.windows, {}}, placement, cluster, StepTimeModel{}, Comm::kResident));
  return ContiguousBalance{gpus, metrics.imbalance_mean, metrics.imbalance_worst,
                           std::move(metrics.imbalance_by_layer)};
}

void measure_drift(const Trace& trace, const InspectOptions& options, Inspection& inspection) {
  if (auto windows = windows_of(trace, options.windows)) {
    inspection.drift = drift_of(trace, *std::move(windows), options.seed, options.threads);
  } else {
    inspection.notes.push_back(trace.paths.empty()
                                   ? "No drift: the trace is one window of loads. Give several recordings, or one with "
                                     "several windows."
                                   : "No drift: the trace is one sequence. Give one with several.");
  }
  if (auto stages = stages_of(trace)) {
    inspection.stage_drift = drift_of(trace, *std::move(stages), options.seed, options.threads);
  }
}

void measure_consistency(const RoutingProfile& profile, const InspectOptions& options, Inspection& inspection) {
  inspection.segment_routing = segment_routing(profile, options.segments, options.threads);
  inspection.segment_caches =
      segment_caches(profile, options.segments, options.cache_ratios, options.cache_tokens, options.threads);
  for (const SegmentRouting& routing : *inspection.segment_routing) {
    if (routing.segments > 0) continue;
    inspection.notes.push_back(
        fmt::format("No SRP for segments of {} tokens: every sequence is shorter.", routing.segment_tokens));
  }
}

void measure_paths(const Trace& trace, const RoutingProfile& profile, const InspectOptions& options,
                   Inspection& inspection) {
  if (profile.paths.empty()) {
    inspection.notes.push_back(
        "No affinity, fan-out, SRP or SCH: they need token paths and the trace has loads only. Record routed experts "
        "per token to see them.");
    return;
  }
  if (profile.paths.rounds() > 1) {
    inspection.affinity = affinity_of(profile, options.seed, options.threads);
  } else {
    inspection.notes.push_back("No affinity: the model has one round.");
  }
  inspection.fan_out = fan_out_of(profile, options.threads);
  if (trace.paths_one_in == 1) {
    measure_consistency(profile, options, inspection);
  } else {
    inspection.notes.push_back(fmt::format(
        "No SRP or SCH: the profile holds one token in {}, and they are about tokens that follow one another.",
        trace.paths_one_in));
  }
}

}  // namespace

Status InspectOptions::validate() const {
  if (windows < 2 || windows > kWindowsMax) {
    return invalid_input(fmt::format("windows is {}; give 2 to {}", windows, kWindowsMax), {"windows"});
  }
  for (const std::size_t tokens : segments) {
    if (tokens < 1 || tokens > kSegmentMax) {
      return invalid_input(fmt::format("segments names {}; give lengths of 1 to {} tokens", tokens, kSegmentMax),
                           {"segments"});
    }
    if (std::ranges::count(segments, tokens) > 1) {
      return invalid_input(fmt::format("segments names {} twice; give each length once", tokens), {"segments"});
    }
  }
  for (const double ratio : cache_ratios) {
    if (!(ratio >= 1 && ratio <= kCacheRatioMax)) {
      return invalid_input(fmt::format("cache_ratios names {}; give ratios of 1 to {}: a cache holds what a token uses",
                                       ratio, kCacheRatioMax),
                           {"cache_ratios"});
    }
    if (std::ranges::count(cache_ratios, ratio) > 1) {
      return invalid_input(fmt::format("cache_ratios names {} twice; give each ratio once", ratio), {"cache_ratios"});
    }
  }
  return {};
}

Result<Inspection> inspect(const Trace& trace, const InspectOptions& options) {
  EVENKEEL_TRY_STATUS(options.validate());
  const RoutingProfile profile = profile_of(trace);
  Inspection inspection;
  inspection.shape = shape_of(trace);
  inspection.load_tokens = profile.total_load();
  inspection.skew = skew_of(inspection.load_tokens);
  if (options.gpus) {
    EVENKEEL_TRY(balance, contiguous_balance(profile, *options.gpus));
    inspection.contiguous = std::move(balance);
  }
  measure_drift(trace, options, inspection);
  measure_paths(trace, profile, options, inspection);
  return inspection;
}

}  // namespace evenkeel
