#include "agents/replay/epoch_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace evenkeel::replay {
namespace {

std::uint32_t rank_of_gpu(std::uint32_t gpu, std::uint32_t world, std::uint32_t gpus) {
  return gpus >= world ? static_cast<std::uint32_t>(std::uint64_t{gpu} * world / gpus)
                       : static_cast<std::uint32_t>((std::uint64_t{gpu} * world + gpus - 1) / gpus);
}

}  // namespace

std::vector<std::uint32_t> gpus_of(std::uint32_t rank, std::uint32_t world, std::uint32_t gpus) {
  if (gpus < world) return {static_cast<std::uint32_t>(std::uint64_t{rank} * gpus / world)};
  std::vector<std::uint32_t> mine;
  for (std::uint32_t gpu = 0; gpu < gpus; ++gpu) {
    if (rank_of_gpu(gpu, world, gpus) == rank) mine.push_back(gpu);
  }
  return mine;
}

void EpochLoader::begin(const ek_epoch& epoch, TimePoint now) {
  withdraw();
  const auto gpus = gpus_of(options_.rank, options_.world, epoch.gpus);
  if (!weights_ && !make_room(epoch, gpus)) return;
  Epoch next{.epoch = epoch.epoch, .digest = epoch.digest, .gpus = epoch.gpus, .residents = {}, .source = {}};
  std::vector<std::uint32_t> first_slot(epoch.gpus + 1, 0);
  for (std::uint32_t gpu = 0; gpu < epoch.gpus; ++gpu) first_slot[gpu + 1] = first_slot[gpu] + epoch.slots_of_gpu[gpu];
  for (const std::uint32_t gpu : gpus) {
    for (std::uint32_t layer = 0; layer < options_.layers; ++layer) {
      for (std::uint32_t slot = first_slot[gpu]; slot < first_slot[gpu + 1]; ++slot) {
        next.residents.insert({gpu, layer, epoch.map[std::size_t{layer} * epoch.slots + slot]});
      }
    }
  }
  for (std::size_t i = 0; i < epoch.copy_count; ++i) {
    const ek_copy& copy = epoch.copies[i];
    next.source[{copy.to_gpu, copy.layer, copy.expert}] = copy.from_gpu;
  }
  next_ = std::move(next);
  // A worker that holds nothing yet loads before it serves.
  due_ = now + (epoch.base_epoch < 0 ? std::chrono::milliseconds(0) : options_.load_time);
}

/// Sets the buffers aside: slots do not change while a worker lives.
bool EpochLoader::make_room(const ek_epoch& epoch, const std::vector<std::uint32_t>& gpus) {
  std::size_t slots = 0;
  for (const std::uint32_t gpu : gpus) slots = std::max<std::size_t>(slots, epoch.slots_of_gpu[gpu]);
  slots *= options_.layers;
  auto weights =
      Weights::create(options_.probe, gpus, slots + (options_.spare_buffers ? options_.spare_buffers : slots));
  if (!weights) {
    why_not_ = weights.error().message;
    return false;
  }
  weights_.emplace(std::move(*weights));
  return true;
}

void EpochLoader::withdraw() {
  if (!next_) return;
  next_.reset();
  is_loaded_ = false;
  why_not_.clear();
  keep_needed();
}

bool EpochLoader::work(const Rendezvous& group, TimePoint now) {
  if (!next_ || is_loaded_) return false;
  why_not_.clear();
  for (const Resident& resident : next_->residents) {
    if (!weights_->has(resident) && !fetch(resident, group)) return false;
  }
  if (now < due_) {
    why_not_ = "the modelled time to load is not over";
    return false;
  }
  is_loaded_ = true;
  return true;
}

bool EpochLoader::fetch(const Resident& resident, const Rendezvous& group) {
  const Buffer right = weights_of(resident.layer, resident.expert);
  const auto source = next_->source.find(resident);
  std::optional<Buffer> weights = right;
  if (source != next_->source.end() && !group.is_alone()) {
    const std::uint32_t from_rank = rank_of_gpu(source->second, options_.world, next_->gpus);
    weights = Weights::copy_from(group.probe_of(from_rank), {source->second, resident.layer, resident.expert});
  }
  const auto about = [&](std::string_view what) {
    why_not_ = fmt::format("layer {} expert {} of GPU {}: {}", resident.layer, resident.expert, resident.gpu, what);
    return false;
  };
  if (!weights) return about("its source does not hold it");
  if (*weights != right) return about("its source holds something else");
  return weights_->put(resident, *weights) || about("no buffer is free");
}

void EpochLoader::run_loaded() {
  old_.merge(running_.residents);
  running_ = *std::exchange(next_, std::nullopt);
  is_loaded_ = false;
}

void EpochLoader::retire(std::int64_t epoch) {
  if (epoch != running_.epoch || old_.empty()) return;
  old_.clear();
  keep_needed();
}

void EpochLoader::keep_needed() {
  if (!weights_) return;
  std::set<Resident> needed = old_;
  needed.insert(running_.residents.begin(), running_.residents.end());
  if (next_) needed.insert(next_->residents.begin(), next_->residents.end());
  weights_->keep_only(needed);
}

}  // namespace evenkeel::replay
