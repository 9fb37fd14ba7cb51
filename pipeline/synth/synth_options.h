#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "partition/foundation/result.h"

namespace evenkeel {

/// What traffic a synthetic trace holds.
struct SynthOptions {
  /// Range [windows, 2^32].
  std::uint64_t tokens = 100000;
  std::uint64_t seed = 1;
  /// Stretches of equally many tokens. Range [1, 65536].
  std::size_t windows = 1;
  /// How far the mix of domains moves from the first window to the last, in [0, 1]; 1 turns it round. Needs windows.
  double drift = 0;
  /// The window from which on another mix holds; from 1 to windows - 1.
  std::optional<std::size_t> shift_at;
  /// 1 or 2; the trace is the same.
  std::size_t threads = 2;

  /// Fails with kInvalidInput, naming the option of the command line.
  [[nodiscard]] Status validate() const;
};

}  // namespace evenkeel
