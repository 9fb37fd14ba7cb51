#pragma once

#include <cstddef>
#include <string>

#include "partition/model/routing_profile.h"

namespace evenkeel {

/// What became of a profile's windows.
struct JoinedWindows {
  /// Those with load.
  std::size_t before = 0;
  std::size_t after = 0;
  /// Whether those that are left differ by more than chance.
  bool differed = false;

  [[nodiscard]] bool is_change() const { return before != after; }
  /// What a user is told of it.
  [[nodiscard]] std::string note() const;
};

/// Most windows that are fitted at once: more are steps of a forward pass, whatever they differ by.
inline constexpr std::size_t kFittedWindowsMax = 32;

/// Joins neighbouring windows of loads, two by two, until what they differ by is above their noise: a window is a
/// stretch of traffic, and a recorder that writes a row a forward step makes rows that differ by chance. Windows
/// without load go first. Differ: the mean load_variation() of neighbours is more than twice their sampling_noise().
/// Neighbours of different stages are left apart.
JoinedWindows join_windows(RoutingProfile& profile);

}  // namespace evenkeel
