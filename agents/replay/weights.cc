#include "agents/replay/weights.h"

#include <algorithm>
#include <span>
#include <utility>

#include "agents/probe/banks.h"

namespace evenkeel::replay {
namespace {

using probe::Segment;

constexpr auto kWeightsKind = Segment::Kind::kWeights;

/// A buffer in shared memory: who is in it (0: nobody), then the weights.
struct Cell {
  std::atomic<std::uint64_t> resident{0};
  Buffer weights{};
};

std::uint64_t key_of(const Resident& r) {
  return (std::uint64_t{r.gpu} << 32 | std::uint64_t{r.layer} << 16 | r.expert) + 1;
}

std::span<Cell> cells_of(const Segment& segment) {
  return {reinterpret_cast<Cell*>(segment.words()), segment.bytes() / sizeof(Cell)};
}

}  // namespace

Buffer weights_of(std::uint32_t layer, std::uint32_t expert) {
  Buffer weights;
  // Any function that two experts do not share; this one differs in every word.
  std::uint64_t word = (std::uint64_t{layer} << 32 | expert) * 0x9E3779B97F4A7C15ULL;
  for (std::uint64_t& w : weights) w = word += 0x9E3779B97F4A7C15ULL;
  return weights;
}

Result<Weights> Weights::create(const std::string& probe, std::vector<std::uint32_t> gpus,
                                std::size_t buffers_per_gpu) {
  EVENKEEL_TRY(segment, Segment::create(kWeightsKind, probe, gpus.size() * buffers_per_gpu * sizeof(Cell)));
  Weights weights(probe, std::move(segment));
  std::size_t next = 0;
  for (const std::uint32_t gpu : gpus) {
    for (std::size_t i = 0; i < buffers_per_gpu; ++i) weights.free_[gpu].push_back(next++);
  }
  return weights;
}

Weights::~Weights() {
  if (segment_) Segment::remove(kWeightsKind, probe_);
}

bool Weights::put(const Resident& resident, const Buffer& weights) {
  auto& free = free_[resident.gpu];
  if (free.empty()) return false;
  Cell& cell = cells_of(*segment_)[free.back()];
  for (std::size_t i = 0; i < weights.size(); ++i) probe::store_word(&cell.weights[i], weights[i]);
  cell.resident.store(key_of(resident), std::memory_order_release);
  buffer_of_[resident] = free.back();
  free.pop_back();
  return true;
}

void Weights::keep_only(const std::set<Resident>& residents) {
  for (auto entry = buffer_of_.begin(); entry != buffer_of_.end();) {
    if (residents.count(entry->first) != 0) {
      ++entry;
      continue;
    }
    cells_of(*segment_)[entry->second].resident.store(0, std::memory_order_release);
    free_[entry->first.gpu].push_back(entry->second);
    entry = buffer_of_.erase(entry);
  }
}

std::optional<Buffer> Weights::copy_from(const std::string& probe, const Resident& resident) {
  const auto segment = Segment::open(kWeightsKind, probe);
  if (!segment) return std::nullopt;
  for (Cell& cell : cells_of(*segment)) {
    if (cell.resident.load(std::memory_order_acquire) != key_of(resident)) continue;
    Buffer weights;
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = probe::load_word(&cell.weights[i]);
    if (cell.resident.load(std::memory_order_relaxed) == key_of(resident)) return weights;
  }
  return std::nullopt;
}

}  // namespace evenkeel::replay
