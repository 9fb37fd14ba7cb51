#pragma once

#include <string>
#include <string_view>

#include "agents/wire/message.h"
#include "partition/foundation/result.h"

namespace evenkeel::wire {

/// Version in every payload. A peer of another version is refused until two versions exist to talk.
inline constexpr std::uint64_t kVersion = 1;

/// Writes a message as one msgpack map with "type", "version" and the fields in protocol.md's order: equal messages
/// give equal bytes. Pure; thread-safe. Placements on the wire have an even split: one with shares is a bug of ours.
[[nodiscard]] std::string encode(const Message& message);

/// Reads one payload that a peer sent. Pure; thread-safe. Memory is at most about 30 times the bytes. Fails with
/// kInvalidInput for anything but one message of this version with exactly its fields, each inside limits.h; every
/// placement has passed Placement::create().
[[nodiscard]] Result<Message> decode(std::string_view payload);

/// A placement as a msgpack map of its own, for the journal. As encode().
[[nodiscard]] std::string encode_placement(const Placement& placement);
/// As decode().
[[nodiscard]] Result<Placement> decode_placement(std::string_view bytes);

}  // namespace evenkeel::wire
