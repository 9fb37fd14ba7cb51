#include "pipeline/flags/nearest.h"

#include <algorithm>

#include "partition/foundation/grid.h"

namespace evenkeel {
namespace {

/// Edits that turn one word into the other: insert, drop or change a letter, or swap two neighbours (optimal string
/// alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  Grid<std::size_t> distance(a.size() + 1, b.size() + 1);
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        distance(i, j) = i + j;
        continue;
      }
      const std::size_t changed = distance(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      distance(i, j) = std::min({changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        distance(i, j) = std::min(distance(i, j), distance(i - 2, j - 2) + 1);
      }
    }
  }
  return distance(a.size(), b.size());
}

}  // namespace

std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> accepted) {
  std::optional<std::string> best;
  const std::size_t farthest = std::max<std::size_t>(2, word.size() / 2);
  std::size_t best_distance = farthest + 1;
  for (const std::string& candidate : accepted) {
    std::size_t distance = edit_distance(word.substr(0, 64), candidate);
    // Whoever leaves the end off means the word, however long the end is.
    if (word.size() >= 3 && candidate.starts_with(word)) distance = std::min(distance, farthest);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> accepted) {
  const auto nearest = nearest_word(word, accepted);
  return nearest ? "; did you mean '" + *nearest + "'?" : "";
}

}  // namespace evenkeel
