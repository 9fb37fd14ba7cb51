#pragma once

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

}  // namespace evenkeel
