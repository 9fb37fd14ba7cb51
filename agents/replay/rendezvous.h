#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agents/probe/segment.h"
#include "partition/foundation/result.h"

namespace evenkeel::replay {

/// What one rank brings to the barrier, and what all of them take away. -1 is no epoch.
struct Agreement {
  /// Highest committed epoch held; agreed: the minimum over ranks.
  std::int64_t held = -1;
  /// Epoch that it runs; agreed: the maximum, because a rank that has just come runs none.
  std::int64_t running = -1;
  /// The next step; agreed: the maximum, so that a rank which came late counts on with the others.
  std::uint64_t step = 0;
  /// It waits for nothing more; agreed: all say so, and go on. Until then an agreement is a switch in passing: all stay
  /// at their step and meet again, so that a chain of epochs needs one stop.
  bool is_done = true;
};

/// The stand-ins' collective: a barrier in shared memory that all ranks of a group on one machine pass together, or
/// none. A rank that waits in vain takes its arrival back, so no rank ever acts on an agreement that another has given
/// up. The state is guarded by a lock that ends with its process; state that dead processes left is cleared by the
/// first to join. Alone (an empty name) every agreement is with oneself.
class Rendezvous {
 public:
  /// Waits at most a second for others that join or leave. `probe` is what others find this rank's weights under. Fails
  /// with kInvalidInput where the group has another number of ranks or a living process has this rank.
  [[nodiscard]] static Result<Rendezvous> join(const std::string& name, std::uint32_t rank, std::uint32_t world,
                                               const std::string& probe);
  Rendezvous(Rendezvous&&) noexcept = default;
  /// Leaves; the last rank removes the name.
  ~Rendezvous();

  /// Says that this rank stands at the barrier.
  void arrive(const Agreement& mine);
  /// The agreement, once all have arrived and are done or can switch; until then what this rank brings may change.
  /// Never blocks for long.
  [[nodiscard]] std::optional<Agreement> poll(const Agreement& mine);
  /// Takes the arrival back. The agreement where all have arrived meanwhile.
  [[nodiscard]] std::optional<Agreement> give_up();

  [[nodiscard]] bool is_alone() const { return name_.empty(); }
  /// Name of a rank's probe; empty where it has not joined.
  [[nodiscard]] std::string probe_of(std::uint32_t rank) const;

 private:
  struct State;
  Rendezvous(std::string name, std::uint32_t rank, std::uint32_t world)
      : name_(std::move(name)), rank_(rank), world_(world) {}

  [[nodiscard]] Result<bool> enter(const std::string& probe);
  [[nodiscard]] State& state() const;
  [[nodiscard]] bool lock() const;
  void unlock() const;
  [[nodiscard]] bool has_others() const;
  void complete_if_all_are_there();

  std::string name_;
  std::uint32_t rank_;
  std::uint32_t world_;
  std::unique_ptr<probe::Segment> segment_;
  /// Rounds passed when this rank arrived.
  std::uint64_t round_ = 0;
  Agreement alone_;
};

}  // namespace evenkeel::replay
