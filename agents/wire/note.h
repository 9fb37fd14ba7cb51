#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace evenkeel::wire {

/// Something that happened, as a noun and a past verb with its particulars: a state machine's word to logs and tests.
struct Note {
  using Value = std::variant<std::string, std::uint64_t, double>;
  using Fields = std::vector<std::pair<std::string, Value>>;

  std::string event;
  Fields fields;
  bool operator==(const Note&) const = default;
};

}  // namespace evenkeel::wire
