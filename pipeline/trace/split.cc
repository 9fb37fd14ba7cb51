#include "pipeline/trace/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition/foundation/random.h"

namespace evenkeel {

Result<Split> hold_out(const Trace& trace, double share, std::optional<std::uint64_t> seed) {
  if (!(share >= 0 && share < 1))
    return invalid_input(fmt::format("holdout is {}; give a share from 0 to below 1", share), {"holdout"});
  const std::size_t sequences = trace.parts();
  std::vector<std::size_t> order(sequences);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (seed) std::ranges::stable_sort(order, {}, [&](std::size_t sequence) { return splitmix64(*seed ^ sequence); });
  Split split;
  for (std::size_t i = 0; i < sequences; ++i) {
    const bool is_scored = std::floor(static_cast<double>(i + 1) * share) > std::floor(static_cast<double>(i) * share);
    (is_scored ? split.score : split.fit).push_back(order[i]);
  }
  std::ranges::sort(split.fit);
  std::ranges::sort(split.score);
  if (share > 0 && (split.fit.empty() || split.score.empty())) {
    const char* const unit = trace.load_windows.empty() ? "sequences" : "windows of loads";
    return invalid_input(
        fmt::format("holdout {} leaves a part of the {} {} empty; give a trace with more of them or hold none out",
                    share, sequences, unit),
        {"holdout"});
  }
  return split;
}

}  // namespace evenkeel
