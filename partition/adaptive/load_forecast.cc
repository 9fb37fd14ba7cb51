#include "partition/adaptive/load_forecast.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition/model/check.h"

namespace evenkeel {
namespace {

/// Windows after which a miss counts half when memories are compared: as long as the middle memory.
constexpr double kScoreHalfLife = 2;
/// A window is a sudden change when it misses by twice the usual: misses of steady traffic, being means over all
/// experts and layers, stay well within that.
constexpr double kSuddenRatio = 2;
/// Windows before "usual" means something.
constexpr std::size_t kUsualWindowsMin = 3;

double kept_after_a_window(double half_life_windows) {
  return half_life_windows == 0 ? 0.0 : std::exp2(-1.0 / half_life_windows);
}

/// Half the sum of absolute differences of two distributions, mean over the layers that have both.
double total_variation(const Grid<double>& foretold, const Grid<std::uint64_t>& seen) {
  double sum = 0;
  std::size_t layers = 0;
  for (std::size_t layer = 0; layer < seen.rows(); ++layer) {
    const auto seen_row = seen[layer];
    const auto foretold_row = foretold[layer];
    const auto seen_total = static_cast<double>(std::accumulate(seen_row.begin(), seen_row.end(), std::uint64_t{0}));
    const double foretold_total = std::accumulate(foretold_row.begin(), foretold_row.end(), 0.0);
    if (seen_total <= 0 || foretold_total <= 0) continue;
    double differences = 0;
    for (std::size_t expert = 0; expert < seen_row.size(); ++expert) {
      differences +=
          std::abs(static_cast<double>(seen_row[expert]) / seen_total - foretold_row[expert] / foretold_total);
    }
    sum += differences / 2;
    ++layers;
  }
  return layers == 0 ? 0.0 : sum / static_cast<double>(layers);
}

void remember(Grid<double>& memory, const Grid<std::uint64_t>& seen, double kept) {
  for (std::size_t layer = 0; layer < seen.rows(); ++layer) {
    const auto row = seen[layer];
    // A layer without traffic keeps what is known of it.
    if (std::ranges::all_of(row, [](std::uint64_t tokens) { return tokens == 0; })) continue;
    for (std::size_t expert = 0; expert < row.size(); ++expert)
      memory(layer, expert) = memory(layer, expert) * kept + static_cast<double>(row[expert]);
  }
}

}  // namespace

void LoadForecast::take(const Grid<std::uint64_t>& load_tokens) {
  if (empty()) {
    memories_.fill(Grid<double>(load_tokens.rows(), load_tokens.cols()));
  } else {
    EVENKEEL_CHECK(load_tokens.rows() == memories_[0].rows() && load_tokens.cols() == memories_[0].cols(),
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
  for (std::size_t i = 0; i < memories_.size(); ++i) missed[i] = total_variation(memories_[i], load_tokens);
  drift_ = missed[best_];
  is_sudden_ = usual_windows_ >= kUsualWindowsMin && drift_ > kSuddenRatio * usual_drift_;
  for (std::size_t i = 0; i < missed.size(); ++i) missed_[i] = missed_[i] * kept + missed[i];
  // Of equals the longest: it knows most.
  for (std::size_t i = best_ = 0; i < missed_.size(); ++i) best_ = missed_[i] <= missed_[best_] ? i : best_;
  if (is_sudden_) return;
  // A plain mean first, which turns into a decayed one.
  ++usual_windows_;
  const double weight = std::max(1.0 - kept, 1.0 / static_cast<double>(usual_windows_));
  usual_drift_ += weight * (drift_ - usual_drift_);
}

Grid<std::uint64_t> LoadForecast::load_tokens(double layer_tokens) const {
  const Grid<double>& memory = memories_[best_];
  double busiest = 0;
  for (std::size_t layer = 0; layer < memory.rows(); ++layer)
    busiest = std::max(busiest, std::accumulate(memory[layer].begin(), memory[layer].end(), 0.0));
  Grid<std::uint64_t> loads(memory.rows(), memory.cols());
  if (busiest <= 0) return loads;
  const double scale = layer_tokens / busiest;
  for (std::size_t cell = 0; cell < loads.cells().size(); ++cell)
    loads.cells()[cell] = static_cast<std::uint64_t>(std::llround(memory.cells()[cell] * scale));
  return loads;
}

}  // namespace evenkeel
