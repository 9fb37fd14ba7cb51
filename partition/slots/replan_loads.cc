#include "partition/slots/replan_loads.h"

#include <algorithm>
#include <array>
#include <utility>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/slots/replan_anneal.h"

namespace evenkeel {
namespace {

/// Targets of the first round: where between the bound and the running placement's largest load. Closer together near
/// the bound, where a move buys less.
constexpr std::array kFirstTargets{0.0, 0.02, 0.06, 0.12, 0.2, 0.3, 0.45, 0.65, 0.85};
/// Targets of later rounds, around the largest load that the budget buys.
constexpr std::array kNearTargets{0.0, -0.03, 0.03};
/// Proposals a slot of an annealing of the first rounds; it doubles from round to round.
constexpr std::uint64_t kFirstLength = 800;
/// Annealings of a target; layers of few slots have few, deep local optima, and their annealings are short.
std::size_t attempts_for(std::size_t slots) { return std::clamp<std::size_t>(2048 / (slots * slots), 1, 16); }

/// Heats of one annealing of a target after the other.
constexpr std::array kHeats{1.0, 4.0};

/// Rounds, between which the time is shared out; what short ones leave over goes to longer ones.
constexpr std::size_t kRounds = 6;
/// Rounds in a row without a better result before the search ends.
constexpr int kFruitlessMax = 3;
/// Closer to its bound a largest load need not come.
constexpr double kGapMet = 1e-6;

class LoadSearch {
 public:
  LoadSearch(std::span<const ReplanLayer> layers, std::span<const std::int64_t> bound_units, std::size_t moves_max,
             std::uint64_t seed, std::size_t threads)
      : layers_(layers),
        bound_units_(bound_units),
        moves_max_(moves_max),
        moves_left_(moves_max),
        seed_(seed),
        threads_(threads) {
    for (const ReplanLayer& layer : layers) {
      ReplanSlots& start = starts_.emplace_back(layer, layer.running);
      moves_left_ -= repair_duplicates(start, moves_left_);
      result_.duplicates += start.duplicate_slots().size();
      weight_.push_back(1.0 / layer.mean_units());
      result_.frontiers.emplace_back(start.slots()).offer(start);
    }
    result_.chosen.assign(layers.size(), 0);
  }

  /// Whether the repairs left any. Those that could not be paid have used them all up.
  [[nodiscard]] bool has_moves_left() const { return moves_left_ > 0; }

  void consider(const Grid<ExpertIndex>& hint) {
    for (std::size_t layer = 0; layer < hint.rows(); ++layer) {
      if (is_loaded(layer)) result_.frontiers[layer].offer(ReplanSlots(layers_[layer], hint[layer]));
    }
    allocate();
  }

  void search(BudgetSlice& slice) {
    std::uint64_t length = kFirstLength;
    int fruitless = 0;
    for (std::size_t round = 0; round < kRounds && fruitless < kFruitlessMax; ++round) {
      if (slice.exhausted() || is_at_bounds()) return;
      const double before = value();
      run_round(round, length, slice.part(round, kRounds, 1));
      allocate();
      fruitless = value() < before ? 0 : fruitless + 1;
      if (round > 0) length *= 2;
    }
  }

  [[nodiscard]] ReplannedLoads take() { return std::move(result_); }

 private:
  [[nodiscard]] bool is_loaded(std::size_t layer) const { return bound_units_[layer] > 0; }

  void run_round(std::size_t round, std::uint64_t length, const BudgetSlice& slice) {
    const std::span<const double> targets =
        round == 0 ? std::span<const double>(kFirstTargets) : std::span<const double>(kNearTargets);
    for_each_item(layers_.size(), threads_, [&](std::size_t layer) {
      if (!is_loaded(layer)) return;
      const BudgetSlice part = slice.part(layer, layers_.size(), threads_);
      const double mean = layers_[layer].mean_units();
      const double low = static_cast<double>(bound_units_[layer]) / mean;
      const double span = static_cast<double>(starts_[layer].largest_load()) / mean - low;
      const double middle = round == 0 ? low : static_cast<double>(result_.point(layer).largest_units) / mean;
      if (round == 0 && !part.exhausted()) {
        ReplanSlots slots = starts_[layer];
        offer_first_moves(slots, result_.frontiers[layer]);
      }
      Random random(seed_ + round, layer);
      const std::size_t runs = targets.size() * attempts_for(layers_[layer].running.size());
      for (std::size_t run = 0; run < runs; ++run) {
        BudgetSlice slice_of_run = part.part(run, runs, 1);
        if (slice_of_run.exhausted()) return;
        const std::size_t attempt = run / targets.size();
        ReplanSlots slots = attempt % 2 == 0 ? starts_[layer] : any_found(layer, random);
        const double heat = kHeats[attempt % kHeats.size()];
        const double target = std::max(low, middle + targets[run % targets.size()] * span);
        anneal_moves(slots, target, heat, length * slots.slots(), random, slice_of_run, result_.frontiers[layer]);
      }
    });
  }

  /// A point of the frontier: attempts from the running placement alone end in the same local optima.
  [[nodiscard]] ReplanSlots any_found(std::size_t layer, Random& random) const {
    const auto points = result_.frontiers[layer].points();
    return {layers_[layer], points[random.below(static_cast<std::uint32_t>(points.size()))]->expert_of_slot};
  }

  void allocate() { result_.chosen = allocate_moves(result_.frontiers, weight_, moves_max_); }

  [[nodiscard]] double value() const {
    double sum = 0;
    for (std::size_t layer = 0; layer < layers_.size(); ++layer)
      sum += static_cast<double>(result_.point(layer).largest_units) * weight_[layer];
    return sum;
  }

  [[nodiscard]] bool is_at_bounds() const {
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      const double bound = static_cast<double>(bound_units_[layer]) * (1 + kGapMet);
      if (static_cast<double>(result_.point(layer).largest_units) > bound) return false;
    }
    return true;
  }

  std::span<const ReplanLayer> layers_;
  std::span<const std::int64_t> bound_units_;
  std::size_t moves_max_;
  std::size_t moves_left_;
  std::uint64_t seed_;
  std::size_t threads_;
  std::vector<ReplanSlots> starts_;
  /// Largest load to max / mean [layers].
  std::vector<double> weight_;
  ReplannedLoads result_;
};

}  // namespace

ReplannedLoads replan_loads(std::span<const ReplanLayer> layers, std::span<const std::int64_t> bound_units,
                            const Grid<ExpertIndex>& hint, std::size_t moves_max, BudgetSlice& slice,
                            std::uint64_t seed, std::size_t threads) {
  LoadSearch search(layers, bound_units, moves_max, seed, threads);
  if (search.has_moves_left()) {
    search.consider(hint);
    search.search(slice);
  }
  return search.take();
}

}  // namespace evenkeel
