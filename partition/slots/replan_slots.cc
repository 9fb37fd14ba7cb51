#include "partition/slots/replan_slots.h"

#include <algorithm>

namespace evenkeel {

double ReplanLayer::mean_units() const {
  std::int64_t total = 0;
  for (std::size_t expert = 0; expert < load_units.size(); ++expert)
    total += copy_units.empty() ? load_units[expert] : copy_units(expert, 0);
  double speeds = static_cast<double>(gpus);
  if (!slowness.empty()) {
    std::vector<bool> has_slots(gpus, false);
    for (const GpuIndex gpu : gpu_of_slot) has_slots[gpu] = true;
    speeds = 0;
    for (std::size_t gpu = 0; gpu < gpus; ++gpu) speeds += has_slots[gpu] ? 1.0 / slowness[gpu] : 0.0;
  }
  return std::max(1.0, static_cast<double>(total) / speeds);
}

ReplanSlots::ReplanSlots(const ReplanLayer& layer, std::span<const ExpertIndex> expert_of_slot)
    : layer_(&layer),
      expert_of_slot_(expert_of_slot.begin(), expert_of_slot.end()),
      gpu_load_(layer.gpus, 0),
      holders_(layer.load_units.size()),
      copies_on_gpu_(layer.load_units.size(), layer.gpus),
      held_(layer.held.empty() ? Grid<std::uint8_t>(layer.load_units.size(), layer.gpus) : layer.held) {
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    const std::size_t gpu = gpu_of(slot);
    if (layer.held.empty()) held_(layer.running[slot], gpu) = 1;
    holders_[expert_of(slot)].push_back(layer.gpu_of_slot[slot]);
    ++copies_on_gpu_(expert_of(slot), gpu);
  }
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    gpu_load_[gpu_of(slot)] += units_on(gpu_of(slot), expert_of(slot));
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
  gpu_load_[a] += units_on(a, y) - units_on(a, x);
  gpu_load_[b] += units_on(b, x) - units_on(b, y);
  const auto& gpus = layer_->gpu_of_slot;
  *std::ranges::find(holders_[x], gpus[p]) = gpus[q];
  *std::ranges::find(holders_[y], gpus[q]) = gpus[p];
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
  const std::size_t before = holders.size();
  gpu_load_[gpu_of(slot)] -= units_on(gpu_of(slot), expert);
  *std::ranges::find(holders, layer_->gpu_of_slot[slot]) = holders.back();
  holders.pop_back();
  for (const GpuIndex gpu : holders)
    gpu_load_[gpu] += units_on(gpu, expert, before - 1) - units_on(gpu, expert, before);
  --copies_on_gpu_(expert, gpu_of(slot));
}

void ReplanSlots::put(std::size_t slot, std::size_t expert) {
  auto& holders = holders_[expert];
  const std::size_t before = holders.size();
  for (const GpuIndex gpu : holders)
    gpu_load_[gpu] += units_on(gpu, expert, before + 1) - units_on(gpu, expert, before);
  gpu_load_[gpu_of(slot)] += units_on(gpu_of(slot), expert, before + 1);
  holders.push_back(layer_->gpu_of_slot[slot]);
  ++copies_on_gpu_(expert, gpu_of(slot));
  expert_of_slot_[slot] = static_cast<ExpertIndex>(expert);
}

std::vector<std::size_t> ReplanSlots::duplicate_slots() const {
  std::vector<std::size_t> duplicates;
  std::size_t first_of_gpu = 0;
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    if (gpu_of(slot) != gpu_of(first_of_gpu)) first_of_gpu = slot;
    const auto first = expert_of_slot_.begin() + static_cast<std::ptrdiff_t>(first_of_gpu);
    const auto here = expert_of_slot_.begin() + static_cast<std::ptrdiff_t>(slot);
    if (std::find(first, here, expert_of_slot_[slot]) != here) duplicates.push_back(slot);
  }
  return duplicates;
}

}  // namespace evenkeel
