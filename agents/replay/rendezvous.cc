#include "agents/replay/rendezvous.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <thread>
#include <utility>

#include "agents/probe/layout.h"

namespace evenkeel::replay {
namespace {

using probe::Segment;

constexpr auto kKind = Segment::Kind::kRendezvous;
/// Ranks of one machine.
constexpr std::uint32_t kRanksMax = 1'024;
/// The lock that guards the state; held for a microsecond at a time.
constexpr std::int64_t kLock = Segment::kOwner;
constexpr std::chrono::milliseconds kLockWait{1'000};

}  // namespace

/// Zeros are a group that nobody has joined.
struct Rendezvous::State {
  struct Cell {
    bool has_arrived = false;
    Agreement brought;
    std::array<char, probe::kNameMax + 1> probe{};
  };
  std::uint32_t world = 0;
  std::uint64_t rounds = 0;
  Agreement agreed;
  std::array<Cell, kRanksMax> cells{};
};

Result<Rendezvous> Rendezvous::join(const std::string& name, std::uint32_t rank, std::uint32_t world,
                                    const std::string& probe) {
  Rendezvous group(name, rank, world);
  if (name.empty()) return group;
  if (world > kRanksMax) {
    return invalid_input(fmt::format("--rendezvous {}: {} ranks; at most {} on one machine", name, world, kRanksMax));
  }
  while (true) {
    EVENKEEL_TRY(segment, Segment::open_or_create(kKind, name, sizeof(State)));
    group.segment_ = std::make_unique<Segment>(std::move(segment));
    const auto is_in = group.enter(probe);
    if (is_in && *is_in) return group;
    // Nothing there is this rank's to clear.
    group.segment_.reset();
    if (!is_in) return tl::unexpected(is_in.error());
  }
}

/// False where the last rank has removed the name meanwhile.
Result<bool> Rendezvous::enter(const std::string& probe) {
  if (!lock()) return failure(fmt::format("--rendezvous {}: its lock is held for too long", name_));
  const bool is_current = segment_->is_named(kKind, name_);
  const bool has_company = is_current && has_others();
  State& group = state();
  if (is_current && !has_company) group = State{};
  const bool is_other_group = has_company && group.world != world_;
  const bool is_mine = is_current && !is_other_group && segment_->take(Segment::kFirstRank + rank_);
  if (is_mine) {
    group.world = world_;
    group.cells[rank_] = {};
    probe.copy(group.cells[rank_].probe.data(), probe::kNameMax);
  }
  unlock();
  if (!is_current) return false;
  if (is_mine) return true;
  std::string why = is_other_group ? fmt::format("it has {} ranks, not {}", group.world, world_)
                                   : fmt::format("a living process is rank {}", rank_);
  return invalid_input(fmt::format("--rendezvous {}: {}; give another name", name_, why));
}

Rendezvous::~Rendezvous() {
  if (!segment_ || !lock()) return;
  state().cells[rank_] = {};
  segment_->leave(Segment::kFirstRank + rank_);
  if (!has_others()) Segment::remove(kKind, name_);
  unlock();
}

Rendezvous::State& Rendezvous::state() const { return *reinterpret_cast<State*>(segment_->words()); }

bool Rendezvous::lock() const {
  const auto until = std::chrono::steady_clock::now() + kLockWait;
  while (!segment_->take(kLock)) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

void Rendezvous::unlock() const { segment_->leave(kLock); }

bool Rendezvous::has_others() const {
  for (std::uint32_t rank = 0; rank < kRanksMax; ++rank) {
    if (segment_->is_taken(Segment::kFirstRank + rank)) return true;
  }
  return false;
}

void Rendezvous::arrive(const Agreement& mine) {
  alone_ = mine;
  if (is_alone() || !lock()) return;
  round_ = state().rounds;
  state().cells[rank_].has_arrived = true;
  state().cells[rank_].brought = mine;
  complete_if_all_are_there();
  unlock();
}

std::optional<Agreement> Rendezvous::poll(const Agreement& mine) {
  if (is_alone()) return mine.is_done || mine.held > mine.running ? std::optional(mine) : std::nullopt;
  if (!lock()) return std::nullopt;
  std::optional<Agreement> agreed;
  if (state().rounds == round_) {
    state().cells[rank_].brought = mine;
    complete_if_all_are_there();
  }
  if (state().rounds != round_) agreed = state().agreed;
  unlock();
  return agreed;
}

std::optional<Agreement> Rendezvous::give_up() {
  if (is_alone()) return alone_;
  // Without the lock the arrival would stand: nobody may go on before it is taken back.
  while (!lock()) {
  }
  std::optional<Agreement> agreed;
  if (state().rounds != round_) {
    agreed = state().agreed;
  } else {
    state().cells[rank_].has_arrived = false;
  }
  unlock();
  return agreed;
}

void Rendezvous::complete_if_all_are_there() {
  State& group = state();
  const auto cells = std::span(group.cells).first(world_);
  if (!std::ranges::all_of(cells, [](const auto& cell) { return cell.has_arrived; })) return;
  Agreement all = cells.front().brought;
  for (const auto& cell : cells) {
    all.held = std::min(all.held, cell.brought.held);
    all.running = std::max(all.running, cell.brought.running);
    all.step = std::max(all.step, cell.brought.step);
    all.is_done = all.is_done && cell.brought.is_done;
  }
  if (!all.is_done && all.held <= all.running) return;
  for (auto& cell : cells) cell.has_arrived = false;
  group.agreed = all;
  ++group.rounds;
}

std::string Rendezvous::probe_of(std::uint32_t rank) const {
  if (is_alone() || !lock()) return {};
  const std::string probe = state().cells[rank].probe.data();
  unlock();
  return probe;
}

}  // namespace evenkeel::replay
