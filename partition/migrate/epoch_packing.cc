#include "partition/migrate/epoch_packing.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <tuple>

namespace evenkeel {
namespace {

class Packer {
 public:
  Packer(std::size_t gpus, std::size_t spare) : gpus_(gpus), spare_(spare), first_open_(gpus) {}

  void add(const ChangeGroup& group) {
    if (group.is_cycle) {
      put(group.changes, first_fit(group.changes, 0));
      return;
    }
    std::size_t epoch = 0;
    for (const SlotChange& change : group.changes) {
      epoch = first_fit({&change, 1}, epoch);
      put({&change, 1}, epoch);
    }
  }
  [[nodiscard]] std::vector<EpochChanges> take() { return std::move(epochs_); }
  [[nodiscard]] std::size_t size() const { return epochs_.size(); }

 private:
  /// The first epoch from `earliest` on in which every GPU of the changes has room.
  [[nodiscard]] std::size_t first_fit(std::span<const SlotChange> changes, std::size_t earliest) const {
    std::size_t epoch = earliest;
    for (const SlotChange& change : changes) epoch = std::max(epoch, first_open_[change.gpu.index()]);
    const auto has_room = [&](const SlotChange& change) { return used(epoch, change.gpu) < spare_; };
    while (!std::ranges::all_of(changes, has_room)) ++epoch;
    return epoch;
  }
  void put(std::span<const SlotChange> changes, std::size_t epoch) {
    if (epoch >= epochs_.size()) {
      epochs_.resize(epoch + 1);
      used_.resize((epoch + 1) * gpus_);
    }
    for (const SlotChange& change : changes) {
      epochs_[epoch].push_back(change);
      ++used_[epoch * gpus_ + change.gpu.index()];
      std::size_t& open = first_open_[change.gpu.index()];
      while (used(open, change.gpu) >= spare_) ++open;
    }
  }
  [[nodiscard]] std::size_t used(std::size_t epoch, GpuId gpu) const {
    return epoch < epochs_.size() ? used_[epoch * gpus_ + gpu.index()] : 0;
  }

  std::size_t gpus_;
  std::size_t spare_;
  std::vector<EpochChanges> epochs_;
  /// Buffers taken [epochs, gpus].
  std::vector<std::size_t> used_;
  /// The first epoch in which each GPU has room [gpus].
  std::vector<std::size_t> first_open_;
};

std::size_t changes_of(const ChangeClass& groups) {
  return std::transform_reduce(groups.begin(), groups.end(), std::size_t{0}, std::plus<>(),
                               [](const ChangeGroup& group) { return group.changes.size(); });
}

/// Cycles are bound to one epoch and paths are not, so cycles come first.
auto longest_cycle_first(const ChangeGroup* group) { return std::tuple(!group->is_cycle, -std::ssize(group->changes)); }

}  // namespace

std::vector<EpochChanges> pack_epochs(const std::vector<ChangeClass>& classes, std::size_t gpus, std::size_t spare) {
  std::vector<const ChangeClass*> fullest_first;
  for (const ChangeClass& groups : classes) fullest_first.push_back(&groups);
  std::ranges::stable_sort(fullest_first, std::greater<>(),
                           [](const ChangeClass* groups) { return changes_of(*groups); });
  std::vector<const ChangeGroup*> longest_first;
  Packer by_class(gpus, spare);
  for (const ChangeClass* groups : fullest_first) {
    for (const ChangeGroup& group : *groups) {
      by_class.add(group);
      longest_first.push_back(&group);
    }
  }
  std::ranges::stable_sort(longest_first, {}, longest_cycle_first);
  Packer by_length(gpus, spare);
  for (const ChangeGroup* group : longest_first) by_length.add(*group);
  std::vector<EpochChanges> epochs = by_length.size() < by_class.size() ? by_length.take() : by_class.take();
  for (EpochChanges& changes : epochs) {
    std::ranges::sort(changes, {}, [](const SlotChange& c) { return std::tuple(c.layer, c.gpu, c.added, c.removed); });
  }
  return epochs;
}

}  // namespace evenkeel
