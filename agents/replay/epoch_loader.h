#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/probe/probe.h"
#include "agents/replay/rendezvous.h"
#include "agents/replay/weights.h"

namespace evenkeel::replay {

struct LoaderOptions {
  std::string probe;
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  std::uint32_t layers = 0;
  /// Buffers of a GPU beside its slots, over all layers; 0: as many as slots.
  std::uint32_t spare_buffers = 0;
  /// Modelled time a load takes.
  std::chrono::milliseconds load_time{0};
};

/// GPUs of a rank: with as many GPUs as ranks, or more, g x world / gpus says whose GPU g is; with fewer, several ranks
/// share one.
[[nodiscard]] std::vector<std::uint32_t> gpus_of(std::uint32_t rank, std::uint32_t world, std::uint32_t gpus);

/// Loads epochs into one rank's buffers, from other ranks' where the epoch says so, and frees what is no longer needed.
/// Beside what runs at most one epoch is loaded.
class EpochLoader {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit EpochLoader(LoaderOptions options) : options_(std::move(options)) {}

  /// Starts to load an epoch in place of the one that was being loaded.
  void begin(const ek_epoch& epoch, TimePoint now);
  /// Forgets what was being loaded.
  void withdraw();
  /// Loads what it can. True once: everything is there and what it should be. `why_not` tells what is missing.
  [[nodiscard]] bool work(const Rendezvous& group, TimePoint now);
  [[nodiscard]] const std::string& why_not() const { return why_not_; }
  /// Routes with the epoch that was loaded from now on; what ran stays until all ranks have switched.
  void run_loaded();
  /// All ranks have switched to `epoch`.
  void retire(std::int64_t epoch);

  struct Epoch {
    std::int64_t epoch = -1;
    std::uint64_t digest = 0;
    std::uint32_t gpus = 0;
    std::set<Resident> residents;
    /// GPU to copy each from; what is not here comes from the disk.
    std::map<Resident, std::uint32_t> source;
  };
  [[nodiscard]] const Epoch& running() const { return running_; }
  /// The epoch being loaded, or loaded and not run yet.
  [[nodiscard]] const std::optional<Epoch>& next() const { return next_; }

 private:
  [[nodiscard]] bool make_room(const ek_epoch& epoch, const std::vector<std::uint32_t>& gpus);
  [[nodiscard]] bool fetch(const Resident& resident, const Rendezvous& group);
  void keep_needed();

  LoaderOptions options_;
  std::optional<Weights> weights_;
  Epoch running_;
  std::optional<Epoch> next_;
  bool is_loaded_ = false;
  TimePoint due_;
  /// What older epochs than the running one leave for other ranks to copy.
  std::set<Resident> old_;
  std::string why_not_;
};

}  // namespace evenkeel::replay
