#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace evenkeel {

/// Value of a bfloat16: the upper half of a float (https://en.wikipedia.org/wiki/Bfloat16_floating-point_format).
[[nodiscard]] inline float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Value of an IEEE 754 binary16.
[[nodiscard]] inline float from_float16(std::uint16_t bits) {
  constexpr int kFractionBits = 10, kExponentBias = 15, kExponentMax = 31;
  const int exponent = (bits >> kFractionBits) & kExponentMax;
  const auto fraction = static_cast<float>(bits & ((1 << kFractionBits) - 1));
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == kExponentMax) return fraction == 0 ? sign * INFINITY : NAN;
  // Below the smallest normal number there is no leading one.
  const float leading = exponent == 0 ? 0.0F : 1 << kFractionBits;
  return sign * std::ldexp(leading + fraction, (exponent == 0 ? 1 : exponent) - kExponentBias - kFractionBits);
}

/// Largest number up to which each of the types holds every whole number.
inline constexpr int kBfloat16WholeMax = 256;
inline constexpr int kFloat16WholeMax = 2048;

}  // namespace evenkeel
