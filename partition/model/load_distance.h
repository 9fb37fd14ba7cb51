#pragma once

#include <cstdint>
#include <span>

namespace evenkeel {

/// Total-variation distance of the load shares of two stretches of traffic in one layer [experts]: 1/2 sum |p - q|, the
/// share of the load that would have to move to another expert. Both need load.
[[nodiscard]] double load_variation(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b);

/// What load_variation() of two samples of independent choices from the mixture of both is expected to be: a lower
/// bound of the noise of recorded traffic, whose choices come in sequences. Both need load.
[[nodiscard]] double sampling_noise(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b);

}  // namespace evenkeel
