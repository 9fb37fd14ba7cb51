#include "partition/slots/replan_anneal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "partition/foundation/check.h"
#include "partition/search/annealing.h"

namespace evenkeel {
namespace {

/// In units of one move; excess in mean loads. Temperatures are in units of one over the logarithm of the number of
/// exchanges: at that, one of all the moves that gain nothing is made at a time. Measured on recordings of DeepSeek-V3
/// on 32 GPUs: a few times hotter forgets the running placement, which takes the whole annealing to come back to.
constexpr AnnealingRange kRange{.hot = 1.0, .cold = 0.5, .soft = 7.0, .stiff = 1000.0};
/// Share of the annealing after which what it passes is worth looking at.
constexpr double kOfferedFrom = 0.2;
/// Replicated slots whose proposal is another expert: one in three.
constexpr std::uint32_t kReplacedIn = 3;
/// Experts drawn of which the one with most load a copy is proposed: extra copies are for hot ones.
constexpr int kDraws = 3;

class MoveAnnealing {
 public:
  MoveAnnealing(ReplanSlots& slots, double target, double heat, Random& random)
      : slots_(slots),
        random_(random),
        share_of_unit_(static_cast<float>(1.0 / slots.layer().mean_units())),
        target_(static_cast<float>(target)),
        experts_(static_cast<std::uint32_t>(slots.layer().load_units.size())),
        scale_(heat / std::log(2.0 + 0.5 * static_cast<double>(slots.slots() * slots.slots()))) {}

  void set_progress(double progress) {
    temperature_ = static_cast<float>(scale_ * kRange.hot * std::pow(kRange.cold / kRange.hot, progress));
    excess_price_ = static_cast<float>(kRange.soft * std::pow(kRange.stiff / kRange.soft, progress));
  }

  /// Returns whether anything changed.
  bool propose() {
    const auto slots = static_cast<std::uint32_t>(slots_.slots());
    const std::size_t slot = random_.below(slots);
    if (slots_.copies(slots_.expert_of(slot)) > 1 && random_.below(kReplacedIn) == 0)
      return random_.below(2) == 0 ? replace(slot) : replace_two(slot);
    return swap(slot, random_.below(slots));
  }

 private:
  [[nodiscard]] float price(std::int64_t units) const {
    return excess_price_ * std::max(0.0F, static_cast<float>(units) * share_of_unit_ - target_);
  }
  [[nodiscard]] bool accepts(float cost) {
    static const MetropolisTable metropolis;
    return cost < temperature_ * metropolis.at(random_.next());
  }

  bool swap(std::size_t p, std::size_t q) {
    if (!slots_.can_swap(p, q)) return false;
    const auto load = slots_.gpu_load();
    const std::size_t a = slots_.gpu_of(p);
    const std::size_t b = slots_.gpu_of(q);
    const std::size_t x = slots_.expert_of(p);
    const std::size_t y = slots_.expert_of(q);
    const std::int64_t load_a = load[a] + slots_.units_on(a, y) - slots_.units_on(a, x);
    const std::int64_t load_b = load[b] + slots_.units_on(b, x) - slots_.units_on(b, y);
    const float excess = price(load_a) + price(load_b) - price(load[a]) - price(load[b]);
    if (!accepts(excess + static_cast<float>(slots_.swap_moves(p, q)))) return false;
    slots_.swap(p, q);
    return true;
  }

  bool replace(std::size_t slot) {
    const std::size_t wanted = hot_expert();
    if (!slots_.can_replace(slot, wanted)) return false;
    const std::size_t given_up = slots_.expert_of(slot);
    const float before = price_of_all();
    const int moves = slots_.replace_moves(slot, wanted);
    slots_.replace(slot, wanted);
    if (accepts(price_of_all() - before + static_cast<float>(moves))) return true;
    slots_.replace(slot, given_up);
    return false;
  }

  /// Two slots take other experts, the first perhaps that of the second: moves that may only together be worth making.
  bool replace_two(std::size_t slot) {
    const std::size_t other = random_.below(static_cast<std::uint32_t>(slots_.slots()));
    const std::size_t given_up = slots_.expert_of(slot);
    const std::size_t other_given_up = slots_.expert_of(other);
    const std::size_t first = random_.below(2) == 0 ? other_given_up : hot_expert();
    const std::size_t second = hot_expert();
    if (slot == other || !slots_.can_replace(slot, first)) return false;
    const float before = price_of_all();
    int moves = slots_.replace_moves(slot, first);
    slots_.replace(slot, first);
    if (slots_.can_replace(other, second)) {
      moves += slots_.replace_moves(other, second);
      slots_.replace(other, second);
      if (accepts(price_of_all() - before + static_cast<float>(moves))) return true;
      slots_.replace(other, other_given_up);
    }
    slots_.replace(slot, given_up);
    return false;
  }

  [[nodiscard]] std::size_t hot_expert() {
    std::size_t hot = random_.below(experts_);
    for (int draw = 1; draw < kDraws; ++draw) {
      const std::size_t other = random_.below(experts_);
      if (slots_.share_units(other) > slots_.share_units(hot)) hot = other;
    }
    return hot;
  }

  /// A replacement touches all GPUs that hold one of its experts.
  [[nodiscard]] float price_of_all() const {
    float sum = 0;
    for (const std::int64_t units : slots_.gpu_load()) sum += price(units);
    return sum;
  }

  ReplanSlots& slots_;
  Random& random_;
  float share_of_unit_;
  float target_;
  std::uint32_t experts_;
  double scale_;
  float temperature_ = 0;
  float excess_price_ = 0;
};

/// The expert that leaves the lowest largest load in a slot.
std::size_t best_replacement(ReplanSlots& slots, std::size_t slot) {
  const std::size_t given_up = slots.expert_of(slot);
  std::size_t best = slots.layer().load_units.size();
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (std::size_t expert = 0; expert < slots.layer().load_units.size(); ++expert) {
    if (!slots.can_replace(slot, expert)) continue;
    slots.replace(slot, expert);
    if (slots.largest_load() < least) {
      least = slots.largest_load();
      best = expert;
    }
    slots.replace(slot, given_up);
  }
  EVENKEEL_CHECK(best < slots.layer().load_units.size(), "a GPU has fewer slots than there are experts");
  return best;
}

}  // namespace

std::size_t repair_duplicates(ReplanSlots& slots, std::size_t moves_max) {
  std::size_t repaired = 0;
  for (const std::size_t slot : slots.duplicate_slots()) {
    if (repaired == moves_max) break;
    slots.replace(slot, best_replacement(slots, slot));
    ++repaired;
  }
  return repaired;
}

void offer_first_moves(ReplanSlots& slots, ReplanFrontier& frontier) {
  frontier.offer(slots);
  for (std::size_t slot = 0; slot < slots.slots(); ++slot) {
    for (std::size_t other = 0; other < slot; ++other) {
      if (!slots.can_swap(slot, other)) continue;
      slots.swap(slot, other);
      frontier.offer(slots);
      slots.swap(slot, other);
    }
    const std::size_t given_up = slots.expert_of(slot);
    for (std::size_t expert = 0; expert < slots.layer().load_units.size(); ++expert) {
      if (!slots.can_replace(slot, expert)) continue;
      slots.replace(slot, expert);
      frontier.offer(slots);
      slots.replace(slot, given_up);
    }
  }
}

void anneal_moves(ReplanSlots& slots, double target, double heat, std::uint64_t proposals_max, Random& random,
                  BudgetSlice& slice, ReplanFrontier& frontier) {
  constexpr std::uint64_t kBatch = 256;
  MoveAnnealing annealing(slots, target, heat, random);
  for (std::uint64_t done = 0; done < proposals_max; done += kBatch) {
    const double progress = std::max(slice.progress(), static_cast<double>(done) / static_cast<double>(proposals_max));
    if (progress >= 1.0) return;
    slice.spend(kBatch);
    annealing.set_progress(progress);
    for (std::uint64_t batch = 0; batch < kBatch; ++batch) {
      if (annealing.propose() && progress > kOfferedFrom) frontier.offer(slots);
    }
  }
}

}  // namespace evenkeel
