#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "agents/probe/banks.h"
#include "agents/probe/layout.h"
#include "agents/probe/probe.h"
#include "agents/wire/message.h"

/// How a prepared epoch gets from the agent to its worker. The mail says what is wanted, all of it in each publication,
/// so that either side may die and come back.
namespace evenkeel::probe {

/// The worker's side; see probe.h. Sets everything aside when it is made.
class Inbox {
 public:
  Inbox(Header& header, const Geometry& geometry, std::uint64_t* mail);

  [[nodiscard]] int poll(ek_epoch& out);
  void ready(std::int64_t epoch);
  [[nodiscard]] std::int64_t held();
  void switched(std::int64_t epoch, std::uint64_t step);

 private:
  void fill(ek_epoch& out) const;

  Header* header_;
  Geometry geometry_;
  Banks banks_;
  /// The publication that was read last, whole, and its leading words as of held().
  std::vector<std::uint64_t> words_;
  std::vector<std::uint64_t> leading_;
  std::uint64_t read_ = 0;
  EpochWord running_ = 0;
  EpochWord polled_ = 0;
  std::uint64_t polled_digest_ = 0;
};

/// An epoch for a worker to load.
struct Offer {
  std::uint64_t epoch = 0;
  /// The copies start from this epoch; absent: the worker is to load whatever it lacks.
  std::optional<std::uint64_t> base_epoch;
  std::uint64_t digest = 0;
  std::uint32_t chain_left = 0;
  const Placement* placement = nullptr;
  std::span<const wire::Copy> copies;
};

/// The agent's side. Starts from what an earlier agent left.
class Outbox {
 public:
  Outbox(Header& header, const Geometry& geometry, std::uint64_t* mail);

  /// Offers an epoch in place of the one offered before; the same one again changes nothing. False where the placement
  /// has more slots, GPUs or copies than the segment has room for.
  [[nodiscard]] bool offer(const Offer& offer);
  /// The offered epoch, or the running one, is the committed one.
  void commit(std::uint64_t epoch);
  /// The offered epoch will never be committed.
  void withdraw(std::uint64_t epoch);

 private:
  void publish();

  Geometry geometry_;
  Banks banks_;
  std::vector<std::uint64_t> words_;
};

}  // namespace evenkeel::probe
