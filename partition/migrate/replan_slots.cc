#include "partition/migrate/replan_slots.h"

#include <algorithm>
#include <numeric>

namespace evenkeel {

double ReplanLayer::mean_units() const {
  const auto total = std::accumulate(load_units.begin(), load_units.end(), std::int64_t{0});
  return std::max(1.0, static_cast<double>(total) / static_cast<double>(gpus));
}

ReplanSlots::ReplanSlots(const ReplanLayer& layer, std::span<const ExpertIndex> expert_of_slot)
    : layer_(&layer),
      expert_of_slot_(expert_of_slot.begin(), expert_of_slot.end()),
      gpu_of_slot_(expert_of_slot.size()),
      gpu_load_(layer.gpus, 0),
      holders_(layer.load_units.size()),
      copies_on_gpu_(layer.load_units.size(), layer.gpus),
      held_(layer.load_units.size(), layer.gpus) {
  const std::size_t slots_per_gpu = layer.slots_per_gpu();
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    const std::size_t gpu = slot / slots_per_gpu;
    gpu_of_slot_[slot] = static_cast<GpuIndex>(gpu);
    held_(layer.running[slot], gpu) = 1;
    holders_[expert_of(slot)].push_back(static_cast<GpuIndex>(gpu));
    ++copies_on_gpu_(expert_of(slot), gpu);
  }
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    gpu_load_[gpu_of(slot)] += share_units(expert_of(slot));
    moves_ += held(gpu_of(slot), expert_of(slot)) ? 0U : 1U;
  }
}

std::int64_t ReplanSlots::largest_load() const { return std::ranges::max(gpu_load_); }

bool ReplanSlots::can_swap(std::size_t p, std::size_t q) const {
  return gpu_of(p) != gpu_of(q) && !holds(gpu_of(q), expert_of(p)) && !holds(gpu_of(p), expert_of(q));
}

int ReplanSlots::swap_moves(std::size_t p, std::size_t q) const {
  const std::size_t a = gpu_of(p);
  const std::size_t b = gpu_of(q);
  return int{held(a, expert_of(p))} + int{held(b, expert_of(q))} - int{held(b, expert_of(p))} -
         int{held(a, expert_of(q))};
}

void ReplanSlots::swap(std::size_t p, std::size_t q) {
  moves_ = static_cast<std::size_t>(static_cast<int>(moves_) + swap_moves(p, q));
  const std::size_t x = expert_of(p);
  const std::size_t y = expert_of(q);
  const std::size_t a = gpu_of(p);
  const std::size_t b = gpu_of(q);
  const std::int64_t shift = share_units(x) - share_units(y);
  gpu_load_[a] -= shift;
  gpu_load_[b] += shift;
  *std::ranges::find(holders_[x], gpu_of_slot_[p]) = gpu_of_slot_[q];
  *std::ranges::find(holders_[y], gpu_of_slot_[q]) = gpu_of_slot_[p];
  --copies_on_gpu_(x, a);
  ++copies_on_gpu_(x, b);
  --copies_on_gpu_(y, b);
  ++copies_on_gpu_(y, a);
  std::swap(expert_of_slot_[p], expert_of_slot_[q]);
}

int ReplanSlots::replace_moves(std::size_t slot, std::size_t expert) const {
  const std::size_t gpu = gpu_of(slot);
  return int{held(gpu, expert_of(slot))} - int{held(gpu, expert)};
}

void ReplanSlots::replace(std::size_t slot, std::size_t expert) {
  moves_ = static_cast<std::size_t>(static_cast<int>(moves_) + replace_moves(slot, expert));
  take(slot);
  put(slot, expert);
}

/// Its load goes over to the copies that are left.
void ReplanSlots::take(std::size_t slot) {
  const std::size_t expert = expert_of(slot);
  auto& holders = holders_[expert];
  const std::int64_t before = share_units(expert);
  const std::int64_t after = share_units(expert, holders.size() - 1);
  gpu_load_[gpu_of(slot)] -= before;
  *std::ranges::find(holders, gpu_of_slot_[slot]) = holders.back();
  holders.pop_back();
  for (const GpuIndex gpu : holders) gpu_load_[gpu] += after - before;
  --copies_on_gpu_(expert, gpu_of(slot));
}

void ReplanSlots::put(std::size_t slot, std::size_t expert) {
  auto& holders = holders_[expert];
  const std::int64_t before = share_units(expert);
  const std::int64_t after = share_units(expert, holders.size() + 1);
  for (const GpuIndex gpu : holders) gpu_load_[gpu] += after - before;
  gpu_load_[gpu_of(slot)] += after;
  holders.push_back(gpu_of_slot_[slot]);
  ++copies_on_gpu_(expert, gpu_of(slot));
  expert_of_slot_[slot] = static_cast<ExpertIndex>(expert);
}

std::vector<std::size_t> ReplanSlots::duplicate_slots() const {
  std::vector<std::size_t> duplicates;
  const std::size_t slots_per_gpu = layer_->slots_per_gpu();
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    const auto first = expert_of_slot_.begin() + static_cast<std::ptrdiff_t>(gpu_of(slot) * slots_per_gpu);
    const auto here = expert_of_slot_.begin() + static_cast<std::ptrdiff_t>(slot);
    if (std::find(first, here, expert_of_slot_[slot]) != here) duplicates.push_back(slot);
  }
  return duplicates;
}

}  // namespace evenkeel
