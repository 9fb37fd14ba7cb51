#include "partition/adaptive/load_forecast.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition/foundation/check.h"
#include "partition/model/load_distance.h"

namespace evenkeel {
namespace {

/// Windows after which a miss counts half when memories are compared: as long as the middle memory.
constexpr double kScoreHalfLife = 2;
/// A window is a sudden change when it misses by twice the usual: misses of steady traffic, being means over all
/// experts and layers, stay well within that.
constexpr double kSuddenRatio = 2;
/// Standard deviations by which the variance of counts may exceed what chance explains before it is taken for skew.
constexpr double kChanceDeviations = 2;
/// Windows before "usual" means something.
constexpr std::size_t kUsualWindowsMin = 3;
/// More than so many times what chance makes is no chance.
constexpr double kChanceVariations = 2;

double kept_after_a_window(double half_life_windows) {
  return half_life_windows == 0 ? 0.0 : std::exp2(-1.0 / half_life_windows);
}

/// Mean over the layers that have load in both.
struct Miss {
  double variation = 0;
  /// What it would be by chance.
  double noise = 0;
};

Miss miss_of(const Grid<double>& foretold, const Grid<std::uint64_t>& seen) {
  Miss miss;
  double layers = 0;
  for (std::size_t layer = 0; layer < seen.rows(); ++layer) {
    const auto seen_row = seen[layer];
    const auto foretold_row = foretold[layer];
    const auto has_load = [](auto tokens) { return tokens > 0; };
    if (std::ranges::none_of(seen_row, has_load) || std::ranges::none_of(foretold_row, has_load)) continue;
    miss.variation += load_variation(foretold_row, seen_row);
    miss.noise += sampling_noise(foretold_row, seen_row);
    ++layers;
  }
  return layers == 0 ? Miss() : Miss{miss.variation / layers, miss.noise / layers};
}

}  // namespace

void LoadForecast::take(const Grid<std::uint64_t>& load_tokens) {
  if (empty()) {
    memories_.fill({Grid<double>(load_tokens.rows(), load_tokens.cols()), std::vector<double>(load_tokens.rows())});
  } else {
    EVENKEEL_CHECK(load_tokens.rows() == memories_[0].tokens.rows() && load_tokens.cols() == memories_[0].tokens.cols(),
                   "windows of one model have one shape");
    score(load_tokens);
  }
  for (std::size_t i = 0; i < memories_.size(); ++i)
    remember(memories_[i], load_tokens, is_sudden_ ? 0.0 : kept_after_a_window(kHalfLives[i]));
  ++windows_;
}

void LoadForecast::score(const Grid<std::uint64_t>& load_tokens) {
  const double kept = kept_after_a_window(kScoreHalfLife);
  std::array<double, kHalfLives.size()> missed{};
  const Miss last = miss_of(memories_[0].tokens, load_tokens);
  for (std::size_t i = 0; i < memories_.size(); ++i) missed[i] = miss_of(memories_[i].tokens, load_tokens).variation;
  drift_ = missed[best_];
  is_sudden_ = usual_windows_ >= kUsualWindowsMin && drift_ > kSuddenRatio * usual_drift_;
  for (std::size_t i = 0; i < missed.size(); ++i) missed_[i] = missed_[i] * kept + missed[i];
  // Of equals the longest: it knows most. But the second window is as far from all, and where that is no chance the
  // last window is the better guess.
  const bool has_moved = windows_ == 1 && last.variation > kChanceVariations * last.noise;
  for (std::size_t i = best_ = 0; i < missed_.size() && !has_moved; ++i)
    best_ = missed_[i] <= missed_[best_] ? i : best_;
  if (is_sudden_) return;
  // A plain mean first, which turns into a decayed one.
  ++usual_windows_;
  const double weight = std::max(1.0 - kept, 1.0 / static_cast<double>(usual_windows_));
  usual_drift_ += weight * (drift_ - usual_drift_);
}

void LoadForecast::remember(Memory& memory, const Grid<std::uint64_t>& seen, double kept) {
  for (std::size_t layer = 0; layer < seen.rows(); ++layer) {
    const auto row = seen[layer];
    const std::uint64_t layer_tokens = std::accumulate(row.begin(), row.end(), std::uint64_t{0});
    // A layer without traffic keeps what is known of it.
    if (layer_tokens == 0) continue;
    for (std::size_t expert = 0; expert < row.size(); ++expert)
      memory.tokens(layer, expert) = memory.tokens(layer, expert) * kept + static_cast<double>(row[expert]);
    memory.variance[layer] =
        memory.variance[layer] * kept * kept + static_cast<double>(layer_tokens) / static_cast<double>(row.size());
  }
}

double LoadForecast::chance_share(const Memory& memory) {
  double by_chance = 0, seen = 0, degrees = 0;
  for (std::size_t layer = 0; layer < memory.tokens.rows(); ++layer) {
    if (memory.variance[layer] == 0) continue;
    const auto row = memory.tokens[layer];
    const auto experts = static_cast<double>(row.size());
    const double mean = std::accumulate(row.begin(), row.end(), 0.0) / experts;
    for (const double tokens : row) seen += (tokens - mean) * (tokens - mean);
    by_chance += memory.variance[layer] * (experts - 1);
    degrees += experts - 1;
  }
  if (seen <= 0) return 1.0;
  return std::min(1.0, by_chance * (1 + kChanceDeviations * std::sqrt(2 / degrees)) / seen);
}

Grid<std::uint64_t> LoadForecast::load_tokens(double layer_tokens) const {
  const Memory& memory = memories_[best_];
  const double chance = chance_share(memory);
  std::vector<double> totals;
  for (std::size_t layer = 0; layer < memory.tokens.rows(); ++layer)
    totals.push_back(std::accumulate(memory.tokens[layer].begin(), memory.tokens[layer].end(), 0.0));
  const double busiest = std::ranges::max(totals);
  Grid<std::uint64_t> loads(memory.tokens.rows(), memory.tokens.cols());
  if (busiest <= 0) return loads;
  const double scale = layer_tokens / busiest;
  for (std::size_t layer = 0; layer < loads.rows(); ++layer) {
    const double mean = totals[layer] / static_cast<double>(loads.cols());
    for (std::size_t expert = 0; expert < loads.cols(); ++expert) {
      const double foretold = mean + (1 - chance) * (memory.tokens(layer, expert) - mean);
      loads(layer, expert) = static_cast<std::uint64_t>(std::llround(foretold * scale));
    }
  }
  return loads;
}

}  // namespace evenkeel
