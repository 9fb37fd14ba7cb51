#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agents/wire/message.h"
#include "agents/wire/name.h"
#include "partition/foundation/result.h"

namespace evenkeel::wire {

/// Who says something about which model, in which order.
struct Envelope {
  /// The sender: an agent's worker, or kRebalancerName.
  std::string sender;
  std::string model;
  /// Rises by one a message of a sender on one socket; a subscriber sees a gap where messages were lost.
  std::uint64_t sequence = 0;
  Message message;
};

/// Sender name of everything a rebalancer says; no worker may take it.
inline constexpr std::string_view kRebalancerName = "rebalancer";

/// Topic "ep@<sender>@<model>", sequence as eight big-endian bytes, payload: the layout of vLLM's KV events, which
/// TensorRT-LLM and Dynamo share.
using Frames = std::array<std::string, 3>;

[[nodiscard]] Frames seal(const Envelope& envelope);

/// Fails with kInvalidInput for a wrong number of frames, a malformed topic or sequence, or as decode() does.
[[nodiscard]] Result<Envelope> open(std::span<const std::string> frames);

/// The topic a rebalancer broadcasts under.
[[nodiscard]] std::string broadcast_topic(std::string_view model);

}  // namespace evenkeel::wire
