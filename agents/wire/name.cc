#include "agents/wire/name.h"

#include <fmt/format.h>

#include <algorithm>

#include "agents/wire/limits.h"

namespace evenkeel::wire {

Status validate_name(std::string_view field, std::string_view name) {
  const auto accepted = [](char c) { return c > ' ' && c <= '~' && c != '@'; };
  if (name.empty() || name.size() > kNameBytesMax || !std::all_of(name.begin(), name.end(), accepted)) {
    return invalid_input(
        fmt::format("{} has {} bytes or a character that cannot stand in a topic; give 1 to {} "
                    "printable ASCII characters without '@' and space",
                    field, name.size(), kNameBytesMax));
  }
  return {};
}

}  // namespace evenkeel::wire
