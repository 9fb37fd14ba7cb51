#include "agents/shell/note_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace evenkeel::shell {
namespace {

constexpr std::uint32_t kLinesPerSecondMax = 100;

struct ValueText {
  std::string operator()(std::uint64_t number) const { return fmt::format("{}", number); }
  std::string operator()(double number) const { return fmt::format("{:.4f}", number); }
  std::string operator()(const std::string& text) const {
    const auto plain = [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '='; };
    if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
    std::string quoted = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c >= ' ' && c <= '~' ? c : '?';
    }
    return quoted + '"';
  }
};

}  // namespace

std::string key_values(const wire::Note& note) {
  std::string line = "event=" + note.event;
  for (const auto& [name, value] : note.fields) line += " " + name + "=" + std::visit(ValueText{}, value);
  return line;
}

bool LogLimit::admits(TimePoint now) {
  if (!second_began_ || now - *second_began_ >= std::chrono::seconds(1)) {
    second_began_ = now;
    lines_in_second_ = 0;
  }
  if (lines_in_second_ >= kLinesPerSecondMax) {
    ++suppressed_;
    return false;
  }
  ++lines_in_second_;
  return true;
}

}  // namespace evenkeel::shell
