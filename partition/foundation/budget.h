#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace evenkeel {

/// What a solver may spend: wall time, or work units so that equal arguments give equal results on any machine.
/// What the solver decides depends on no other clock. Thread-safe: workers may share one.
class Budget {
 public:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] static Budget wall(std::chrono::duration<double> time) { return Budget(time, std::nullopt); }
  [[nodiscard]] static Budget work(std::uint64_t units) { return Budget(std::nullopt, units); }

  [[nodiscard]] bool exhausted() const {
    if (work_units_) return spent_units_.load(std::memory_order_relaxed) >= *work_units_;
    return Clock::now() >= deadline_;
  }
  /// Records work done; of no effect on a wall budget.
  void spend(std::uint64_t units) { spent_units_.fetch_add(units, std::memory_order_relaxed); }

  [[nodiscard]] bool is_wall() const { return !work_units_; }
  /// Seconds left of a wall budget; not to be asked of a work budget.
  [[nodiscard]] std::chrono::duration<double> remaining() const { return deadline_ - Clock::now(); }
  [[nodiscard]] std::chrono::duration<double> elapsed() const { return Clock::now() - start_; }
  /// Work units left; not to be asked of a wall budget.
  [[nodiscard]] std::uint64_t remaining_units() const {
    const auto spent = spent_units_.load(std::memory_order_relaxed);
    return spent >= *work_units_ ? 0 : *work_units_ - spent;
  }

 private:
  Budget(std::optional<std::chrono::duration<double>> time, std::optional<std::uint64_t> units)
      : deadline_(time ? start_ + std::chrono::duration_cast<Clock::duration>(*time) : Clock::time_point::max()),
        work_units_(units) {}

  Clock::time_point start_ = Clock::now();
  Clock::time_point deadline_;
  std::optional<std::uint64_t> work_units_;
  std::atomic<std::uint64_t> spent_units_{0};
};

/// The part of a budget that one stage may use, and how far into it the stage is. For one thread.
class BudgetSlice {
 public:
  /// A share in [0, 1] of what is left.
  BudgetSlice(Budget& budget, double share) : BudgetSlice(budget, share * left_of(budget), Length{}) {}

  /// What one of `parts` equal pieces of work gets that several threads take in turn, when `before` of them are begun.
  [[nodiscard]] BudgetSlice part(std::size_t before, std::size_t parts, std::size_t threads) const {
    if (!budget_.is_wall()) return {budget_, length_ / static_cast<double>(parts), Length{}};
    const double lanes = static_cast<double>(std::min(threads, parts - before));
    return {budget_, std::max(0.0, length_ - used()) * lanes / static_cast<double>(parts - before), Length{}};
  }

  /// 0 at the start, 1 once the slice is used up.
  [[nodiscard]] double progress() const { return length_ <= 0 ? 1.0 : std::min(1.0, used() / length_); }
  [[nodiscard]] bool exhausted() const { return progress() >= 1.0; }
  [[nodiscard]] bool is_wall() const { return budget_.is_wall(); }
  /// Seconds left of a wall budget, else work units.
  [[nodiscard]] double remaining() const { return std::max(0.0, length_ - used()); }
  /// Records work done, also against the whole budget.
  void spend(std::uint64_t units) {
    spent_units_ += units;
    budget_.spend(units);
  }

 private:
  struct Length {};
  BudgetSlice(Budget& budget, double length, Length)
      : budget_(budget), start_(budget.elapsed().count()), length_(length) {}

  static double left_of(const Budget& budget) {
    return budget.is_wall() ? std::max(0.0, budget.remaining().count()) : static_cast<double>(budget.remaining_units());
  }
  [[nodiscard]] double used() const {
    return budget_.is_wall() ? budget_.elapsed().count() - start_ : static_cast<double>(spent_units_);
  }

  Budget& budget_;
  double start_;
  /// Seconds or work units.
  double length_;
  std::uint64_t spent_units_ = 0;
};

}  // namespace evenkeel
