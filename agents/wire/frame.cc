#include "agents/wire/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "agents/wire/codec.h"
#include "agents/wire/limits.h"

namespace evenkeel::wire {
namespace {

constexpr std::string_view kTopicPrefix = "ep@";
constexpr std::size_t kSequenceBytes = 8;

std::string topic(std::string_view sender, std::string_view model) {
  return fmt::format("{}{}@{}", kTopicPrefix, sender, model);
}

std::string big_endian(std::uint64_t number) {
  std::string bytes(kSequenceBytes, '\0');
  for (std::size_t i = kSequenceBytes; i > 0; --i, number >>= 8) bytes[i - 1] = static_cast<char>(number & 0xFF);
  return bytes;
}

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

Result<std::pair<std::string_view, std::string_view>> names_of(std::string_view topic) {
  if (!topic.starts_with(kTopicPrefix)) return invalid_input("frame: the topic does not start with ep@");
  topic.remove_prefix(kTopicPrefix.size());
  const std::size_t at = topic.find('@');
  if (at == std::string_view::npos) return invalid_input("frame: the topic is not ep@<sender>@<model>");
  const std::pair names(topic.substr(0, at), topic.substr(at + 1));
  EVENKEEL_TRY_STATUS(validate_name("topic's sender", names.first));
  EVENKEEL_TRY_STATUS(validate_name("topic's model", names.second));
  return names;
}

}  // namespace

Frames seal(const Envelope& envelope) {
  return {topic(envelope.sender, envelope.model), big_endian(envelope.sequence), encode(envelope.message)};
}

Result<Envelope> open(std::span<const std::string> frames) {
  if (frames.size() != 3) return invalid_input(fmt::format("frame: {} frames came; a message has 3", frames.size()));
  EVENKEEL_TRY(names, names_of(frames[0]));
  if (frames[1].size() != kSequenceBytes) {
    return invalid_input(
        fmt::format("frame: a sequence of {} bytes came; it has {}", frames[1].size(), kSequenceBytes));
  }
  const std::uint64_t sequence = from_big_endian(frames[1]);
  if (sequence > kNumberMax) return invalid_input(fmt::format("frame: sequence is above {}", kNumberMax));
  EVENKEEL_TRY(message, decode(frames[2]));
  return Envelope{std::string(names.first), std::string(names.second), sequence, std::move(message)};
}

std::string broadcast_topic(std::string_view model) { return topic(kRebalancerName, model); }

}  // namespace evenkeel::wire
