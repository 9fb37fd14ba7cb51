#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/inspect/affinity.h"
#include "pipeline/inspect/drift.h"
#include "pipeline/inspect/fan_out.h"
#include "pipeline/inspect/load_skew.h"
#include "pipeline/inspect/segment_cache.h"
#include "pipeline/inspect/segment_routing.h"
#include "pipeline/inspect/trace_shape.h"

namespace evenkeel {

struct InspectOptions {
  /// Parts to compare where the trace marks no windows. Range [2, 10000].
  std::size_t windows = 8;
  /// Tokens of a segment, for SRP and SCH. Range [1, 4096]; the paper's four (arXiv 2505.16056, section 3.1).
  std::vector<std::size_t> segments{4, 16, 64, 256};
  /// Places of a cache over experts a token uses. Range [1, 1000]; the paper recommends about 2.
  std::vector<double> cache_ratios{1, 2, 4};
  /// About how many tokens are replayed through caches for SCH: whole sequences, evenly spread over the trace. 0: all.
  std::size_t cache_tokens = 65536;
  /// Also measure the placement an engine starts with on this many GPUs.
  std::optional<std::size_t> gpus;
  /// Seed of what is dealt at random to measure noise.
  std::uint64_t seed = 1;
  std::size_t threads = 2;

  /// Fails with kInvalidInput, naming the option, its value and range.
  [[nodiscard]] Status validate() const;
};

/// Balance of the placement that engines start with: slot p holds expert p.
struct ContiguousBalance {
  std::size_t gpus;
  /// Largest over mean GPU load: mean over layers, worst layer, and [layers].
  double imbalance_mean;
  double imbalance_worst;
  std::vector<double> imbalance_by_layer;
};

/// Everything `evenkeel inspect` says of a trace. Figures that need token paths are absent without them.
struct Inspection {
  TraceShape shape;
  /// Loads of all windows together [layers, experts], and their skew [layers].
  Grid<std::uint64_t> load_tokens;
  std::vector<LoadSkew> skew;
  /// Absent unless asked for.
  std::optional<ContiguousBalance> contiguous;
  /// Absent where there is one window only.
  std::optional<Drift> drift;
  /// Absent where the trace names fewer than two stages.
  std::optional<Drift> stage_drift;
  std::optional<std::vector<RoundAffinity>> affinity;
  std::optional<FanOut> fan_out;
  std::optional<std::vector<SegmentRouting>> segment_routing;
  std::optional<std::vector<SegmentCache>> segment_caches;
  /// Sentences that say why something is absent.
  std::vector<std::string> notes;
};

/// Measures a trace. Pure; equal options give equal results on any number of threads. Fails with kInvalidInput for an
/// option out of range, kInfeasible where the experts do not divide over the GPUs.
[[nodiscard]] Result<Inspection> inspect(const Trace& trace, const InspectOptions& options);

}  // namespace evenkeel
