#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace evenkeel {

/// SplitMix64 (Steele, Lea, Flood 2014): the first output of the generator with state `state`.
[[nodiscard]] constexpr std::uint64_t splitmix64(std::uint64_t state) {
  std::uint64_t z = state + 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// A stream of random numbers for one work item (seed, item), the same on every platform; never one a thread.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t item) : state_(splitmix64(seed) ^ splitmix64(~item)) {}

  [[nodiscard]] std::uint64_t next() {
    const std::uint64_t value = splitmix64(state_);
    state_ += 0x9E3779B97F4A7C15ULL;
    return value;
  }
  /// Uniform in [0, bound), bound above 0, by multiplication (Lemire 2019); the bias below 2^-32 does not matter here.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace evenkeel
