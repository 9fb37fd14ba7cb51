#include "partition/slots/replica_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/search/annealing.h"
#include "partition/slots/split.h"
#include "partition/slots/spread_nodes.h"

namespace evenkeel {
namespace {

/// Annealings in a row without a better result before a layer is left. Layers of few slots have few, deep local optima,
/// and their annealings are short.
int fruitless_max(std::size_t slots) { return static_cast<int>(std::clamp<std::size_t>(2048 / slots, 6, 60)); }
/// Where between the bound and the best load an annealing aims: at the bound it lowers many GPUs a little, close to the
/// best load those that are beyond it.
constexpr std::array kTargets{0.0, 0.5, 0.95};
/// Heat of three annealings in four where copies cost more than their share of the load: what they add together has to
/// be kept from the packing, for no single exchange finds it.
constexpr double kGentle = 1e-7;
/// Closer to its bound a load need not come.
constexpr double kReplicaGapMet = 1e-9;
/// A replica's slot that takes another expert, rather than an exchange: one in two.
constexpr std::uint32_t kReplicaReplacedIn = 2;

/// What is lowered, and the temperatures for it.
struct EvenLoad {
  static constexpr double kHot = 1e-1;
  static constexpr double kCold = 1e-9;
  static constexpr std::uint64_t kFirstLength = 400;

  std::int64_t bound_units;

  [[nodiscard]] double value(const ReplanSlots& slots) const { return static_cast<double>(slots.largest_load()); }
  [[nodiscard]] double bound() const { return static_cast<double>(bound_units); }
  [[nodiscard]] std::uint64_t work_units(const ReplanSlots& /*slots*/) const { return 1; }
  /// 0 where no GPU is beyond the target; squares, so that what is spread over several GPUs counts less than a peak.
  [[nodiscard]] double cost(const ReplanSlots& slots, double target, double mean) const {
    double sum = 0;
    for (const std::int64_t units : slots.gpu_load()) {
      const double over = std::max(0.0, (static_cast<double>(units) - target) / mean);
      sum += over * over;
    }
    return sum;
  }
};

struct UnevenLoad {
  static constexpr double kHot = 2e-2;
  static constexpr double kCold = 1e-5;
  static constexpr std::uint64_t kFirstLength = 8;

  std::span<const std::uint64_t> load_tokens;
  std::span<const GpuIndex> gpu_of_slot;
  std::size_t gpus;

  [[nodiscard]] double value(const ReplanSlots& slots) const {
    return split_layer(load_tokens, slots.expert_of_slot(), gpu_of_slot, gpus).largest_load;
  }
  [[nodiscard]] double bound() const {
    return static_cast<double>(std::accumulate(load_tokens.begin(), load_tokens.end(), std::uint64_t{0})) /
           static_cast<double>(gpus);
  }
  /// A split takes as long as so many exchanges looked at.
  [[nodiscard]] std::uint64_t work_units(const ReplanSlots& slots) const { return 16 * slots.slots(); }
  [[nodiscard]] double cost(const ReplanSlots& slots, double target, double mean) const {
    return std::max(0.0, (value(slots) - target) / mean);
  }
};

template <class Load>
class ReplicaAnnealing {
 public:
  ReplicaAnnealing(const Load& load, const ReplicaSearch& search, Random& random)
      : load_(load), copies_min_(search.copies_min), nodes_(search.nodes), random_(random) {}

  /// Towards `target`, from hot, times `heat`, to cold; ends where it is met.
  void run(ReplanSlots& slots, double target, double heat, std::uint64_t proposals, BudgetSlice& slice) {
    static const MetropolisTable metropolis;
    constexpr std::uint64_t kBatch = 16;
    const double mean = std::max(1e-9, load_.bound());
    const auto cost = [&] { return load_.cost(slots, target, mean); };
    double before = cost();
    for (std::uint64_t done = 0; done < proposals && before > 0 && !slice.exhausted(); done += kBatch) {
      slice.spend(kBatch * load_.work_units(slots));
      const double progress = static_cast<double>(done) / static_cast<double>(proposals);
      const double temperature = heat * Load::kHot * std::pow(Load::kCold / Load::kHot, progress);
      for (std::uint64_t batch = 0; batch < kBatch && before > 0; ++batch) {
        const double allowed = before + temperature * static_cast<double>(metropolis.at(random_.next()));
        before = propose(
            slots, before, [&] { return cost(); }, allowed);
      }
    }
  }

 private:
  /// Returns the cost after the proposal.
  template <class Cost>
  double propose(ReplanSlots& slots, double before, Cost&& cost, double allowed) {
    const std::size_t slot = random_.below(static_cast<std::uint32_t>(slots.slots()));
    const std::size_t given_up = slots.expert_of(slot);
    if (random_.below(kReplicaReplacedIn) == 0) {
      const std::size_t wanted = slots.expert_of(random_.below(static_cast<std::uint32_t>(slots.slots())));
      if (slots.copies(given_up) <= copies_min_ || slots.holds(slots.gpu_of(slot), wanted)) return before;
      slots.replace(slot, wanted);
      const double after = is_spread(slots, given_up) ? cost() : kForbidden;
      if (after < allowed) return after;
      slots.replace(slot, given_up);
      return before;
    }
    const std::size_t other = random_.below(static_cast<std::uint32_t>(slots.slots()));
    if (!slots.can_swap(slot, other)) return before;
    slots.swap(slot, other);
    const bool is_allowed = is_spread(slots, given_up) && is_spread(slots, slots.expert_of(slot));
    const double after = is_allowed ? cost() : kForbidden;
    if (after < allowed) return after;
    slots.swap(slot, other);
    return before;
  }

  static constexpr double kForbidden = std::numeric_limits<double>::infinity();

  [[nodiscard]] bool is_spread(const ReplanSlots& slots, std::size_t expert) const {
    return nodes_ == 1 || is_on_two_nodes(slots, expert, nodes_);
  }

  const Load& load_;
  std::size_t copies_min_;
  std::size_t nodes_;
  Random& random_;
};

template <class Load>
std::vector<ExpertIndex> search_layer(const ReplanLayer& layer, const Load& load, const ReplicaSearch& search,
                                      std::size_t layer_index, BudgetSlice slice) {
  ReplanSlots best(layer, layer.running);
  double best_value = load.value(best);
  Random random(search.seed, layer_index);
  ReplicaAnnealing<Load> annealing(load, search, random);
  std::uint64_t proposals = Load::kFirstLength * best.slots();
  const int patience = fruitless_max(best.slots());
  const double met = load.bound() * (1 + kReplicaGapMet);
  for (int attempt = 0, fruitless = 0; fruitless < patience && best_value > met && !slice.exhausted();
       ++attempt, ++fruitless) {
    ReplanSlots candidate = best;
    const double share = kTargets[static_cast<std::size_t>(attempt) % kTargets.size()];
    const double heat = layer.copy_units.empty() || attempt % 4 == 3 ? 1.0 : kGentle;
    annealing.run(candidate, load.bound() + share * (best_value - load.bound()), heat, proposals, slice);
    const double value = load.value(candidate);
    if (fruitless + 1 == patience / 2) proposals *= 2;
    if (value >= best_value) continue;
    best_value = value;
    best = candidate;
    fruitless = -1;
  }
  return {best.expert_of_slot().begin(), best.expert_of_slot().end()};
}

template <class MakeLoad>
Grid<ExpertIndex> search_layers(std::span<const ReplanLayer> layers, const ReplicaSearch& search, BudgetSlice& slice,
                                MakeLoad&& make_load) {
  Grid<ExpertIndex> rows(layers.size(), layers.front().running.size());
  for_each_item(layers.size(), search.threads, [&](std::size_t layer) {
    const auto found =
        search_layer(layers[layer], make_load(layer), search, layer, slice.part(layer, layers.size(), search.threads));
    std::ranges::copy(found, rows[layer].begin());
  });
  return rows;
}

}  // namespace

Grid<ExpertIndex> balance_replicas(std::span<const ReplanLayer> layers, std::span<const std::int64_t> bound_units,
                                   const ReplicaSearch& search, BudgetSlice& slice) {
  return search_layers(layers, search, slice, [&](std::size_t layer) { return EvenLoad{bound_units[layer]}; });
}

Grid<ExpertIndex> balance_uneven(std::span<const ReplanLayer> layers, const Grid<std::uint64_t>& load_tokens,
                                 const ReplicaSearch& search, BudgetSlice& slice) {
  return search_layers(layers, search, slice, [&](std::size_t layer) {
    return UnevenLoad{load_tokens[layer], layers[layer].gpu_of_slot, layers[layer].gpus};
  });
}

}  // namespace evenkeel
