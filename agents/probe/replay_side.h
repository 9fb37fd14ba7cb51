#pragma once

#include <cstdint>

#include "agents/probe/probe.h"

/// What a replay's stand-in worker and its agent say to each other beside the C ABI of probe.h.
namespace evenkeel::probe {

/// What it counts can be counted again: closing it leaves nothing behind for a later agent.
void mark_replay(ek_probe& probe);
/// Everything is played; nothing will be counted any more.
void mark_finished(ek_probe& probe);

struct AgentWord {
  /// Decisions for windows 0 to windows_decided - 1 are over.
  std::uint64_t windows_decided = 0;
  /// When an agent was attached last, as monotonic_ms(); 0: never.
  std::uint64_t alive_ms = 0;
  /// The worker may end.
  bool is_released = false;
};
[[nodiscard]] AgentWord agent_word(const ek_probe& probe);

/// Milliseconds of a clock that all processes of the machine share.
[[nodiscard]] std::uint64_t monotonic_ms();

}  // namespace evenkeel::probe
