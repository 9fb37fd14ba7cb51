#include "partition/model/joined_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "partition/model/load_distance.h"

namespace evenkeel {
namespace {

constexpr double kNoiseFactor = 2;

bool is_loaded(std::span<const std::uint64_t> load) {
  return std::ranges::any_of(load, [](std::uint64_t tokens) { return tokens > 0; });
}

/// Whether neighbouring windows differ by more than chance, over all layers that both have load in.
bool differ(const std::vector<StageLoad>& windows) {
  double variation = 0;
  double noise = 0;
  for (std::size_t window = 0; window + 1 < windows.size(); ++window) {
    const Grid<std::uint64_t>& a = windows[window].load_tokens;
    const Grid<std::uint64_t>& b = windows[window + 1].load_tokens;
    for (std::size_t layer = 0; layer < a.rows(); ++layer) {
      if (!is_loaded(a[layer]) || !is_loaded(b[layer])) continue;
      variation += load_variation(a[layer], b[layer]);
      noise += sampling_noise(a[layer], b[layer]);
    }
  }
  return variation > kNoiseFactor * noise;
}

std::vector<StageLoad> in_pairs(std::vector<StageLoad> windows) {
  std::vector<StageLoad> joined;
  for (std::size_t window = 0; window < windows.size(); ++window) {
    StageLoad& first = joined.emplace_back(std::move(windows[window]));
    if (window + 1 == windows.size() || windows[window + 1].stage != first.stage) continue;
    add(first, windows[++window]);
  }
  return joined;
}

}  // namespace

JoinedWindows join_windows(RoutingProfile& profile) {
  std::vector<StageLoad>& windows = profile.windows;
  JoinedWindows done{windows.size(), windows.size()};
  const auto is_empty = [](const StageLoad& window) { return !is_loaded(window.load_tokens.cells()); };
  if (!std::ranges::all_of(windows, is_empty)) done.before -= std::erase_if(windows, is_empty);
  while (windows.size() > 1) {
    const bool are_many = windows.size() > kFittedWindowsMax;
    done.differed = differ(windows);
    if (done.differed && !are_many) break;
    const std::size_t before = windows.size();
    windows = in_pairs(std::move(windows));
    if (windows.size() == before) break;
  }
  done.after = windows.size();
  return done;
}

std::string JoinedWindows::note() const {
  const std::string count = after == 1 ? "one" : fmt::format("{}", after);
  return differed && after > 1
             ? fmt::format(
                   "{} windows are joined to {}: as many as differ by more than chance and are fitted at once; "
                   "--windows keeps them apart",
                   before, count)
             : fmt::format(
                   "{} windows are joined to {}: they differ by no more than chance, as steps of one traffic do",
                   before, count);
}

}  // namespace evenkeel
