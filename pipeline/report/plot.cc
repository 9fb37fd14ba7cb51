#include "pipeline/report/plot.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace evenkeel {
namespace {

constexpr std::size_t kWidthMin = 60;
constexpr std::size_t kWidthMax = 160;
constexpr std::size_t kHeatLevels = 5;

constexpr std::array<std::string_view, 9> kHeightsUnicode{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 9> kHeightsAscii{" ", ".", ":", "-", "=", "+", "*", "%", "#"};
constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
constexpr std::array<std::string_view, kHeatLevels> kShadesUnicode{" ", "░", "▒", "▓", "█"};
constexpr std::array<std::string_view, kHeatLevels> kShadesAscii{" ", ".", "+", "*", "#"};
/// Of the 256-colour palette, from cool to hot, readable on light and dark ground.
constexpr std::array<int, kHeatLevels> kHeatColours{0, 67, 71, 172, 160};

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::size_t terminal_width() {
  winsize size{};
  std::size_t width = 80;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    width = size.ws_col;
  } else if (const auto columns = variable("COLUMNS"); !columns.empty()) {
    std::from_chars(columns.data(), columns.data() + columns.size(), width);
  }
  return std::clamp(width, kWidthMin, kWidthMax);
}

/// First value of a cell, and the one after its last.
std::pair<std::size_t, std::size_t> neighbourhood(std::size_t cell, std::size_t cells, std::size_t values) {
  return {cell * values / cells, (cell + 1) * values / cells};
}

/// Values averaged into at most `columns` neighbourhoods; none where a neighbourhood has none.
std::vector<std::optional<double>> resampled(std::span<const std::optional<double>> values, std::size_t columns) {
  const std::size_t cells = std::min(values.size(), columns);
  std::vector<std::optional<double>> result;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    double sum = 0;
    double count = 0;
    const auto [begin, end] = neighbourhood(cell, cells, values.size());
    for (std::size_t i = begin; i < end; ++i) {
      if (!values[i]) continue;
      sum += *values[i];
      ++count;
    }
    result.push_back(count > 0 ? std::optional(sum / count) : std::nullopt);
  }
  return result;
}

/// 0 for 0, else 1 to `levels` - 1.
std::size_t level_of(double share, std::size_t levels) {
  if (!(share > 0)) return 0;
  const double steps = static_cast<double>(levels - 1);
  return static_cast<std::size_t>(std::ceil(std::min(share, 1.0) * steps));
}

std::string shade(std::size_t level, const PlotStyle& style) {
  const std::string_view text = style.has_unicode ? kShadesUnicode[level] : kShadesAscii[level];
  if (!style.has_colour || level == 0) return std::string(text);
  return fmt::format("\x1b[38;5;{}m{}\x1b[0m", kHeatColours[level], text);
}

}  // namespace

bool is_utf8_locale(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (c != '-') letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return letters.find("utf8") != std::string::npos;
}

PlotStyle terminal_style() {
  PlotStyle style;
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (variable(name).empty()) continue;
    style.has_unicode = is_utf8_locale(variable(name));
    break;
  }
  style.has_colour = ::isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  style.width = terminal_width();
  return style;
}

std::string sparkline(std::span<const double> values, double full, std::size_t columns, const PlotStyle& style) {
  const auto& heights = style.has_unicode ? kHeightsUnicode : kHeightsAscii;
  const std::size_t cells = std::min(values.size(), columns);
  std::string line;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const auto [begin, end] = neighbourhood(cell, cells, values.size());
    line += heights[level_of(std::ranges::max(values.subspan(begin, end - begin)) / full, heights.size())];
  }
  return line;
}

std::string bar(double value, std::size_t columns, const PlotStyle& style) {
  const double share = std::clamp(value, 0.0, 1.0);
  const std::size_t parts = style.has_unicode ? kEighths.size() : 1;
  const auto filled = static_cast<std::size_t>(std::lround(share * static_cast<double>(columns * parts)));
  std::string line;
  for (std::size_t i = 0; i < filled / parts; ++i) line += style.has_unicode ? "█" : "#";
  const bool has_tip = filled % parts > 0;
  if (has_tip) line += kEighths[filled % parts];
  for (std::size_t i = filled / parts + (has_tip ? 1 : 0); i < columns; ++i) line += style.has_unicode ? "·" : ".";
  return line;
}

std::string heat_strip(std::span<const std::optional<double>> values, double full, std::size_t columns,
                       const PlotStyle& style) {
  std::string line;
  for (const auto& value : resampled(values, columns)) {
    line += value ? shade(level_of(*value / full, kHeatLevels), style) : "?";
  }
  return line;
}

std::string heat_legend(const PlotStyle& style) {
  std::string line;
  for (std::size_t level = 1; level < kHeatLevels; ++level) line += shade(level, style);
  return line;
}

std::string emphasised(std::string_view text, const PlotStyle& style) {
  return style.has_colour ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  std::string result;
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.find_first_not_of(' ') != std::string::npos && line.size() + 1 + word.size() > width) {
      result += line + '\n';
      line = std::string(indent, ' ');
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
    line += word;
  }
  return result + line + '\n';
}

}  // namespace evenkeel
