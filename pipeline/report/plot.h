#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace evenkeel {

/// What the terminal that pictures go to can show.
struct PlotStyle {
  /// Block elements of Unicode; else ASCII stands in for them.
  bool has_unicode = false;
  /// ANSI colours and bold.
  bool has_colour = false;
  /// Columns of a line.
  std::size_t width = 80;
};

/// What standard output shows: Unicode where the locale (LC_ALL, LC_CTYPE, LANG) is UTF-8; colours on a terminal unless
/// NO_COLOR is set (no-color.org) or TERM is dumb; the terminal's width, else COLUMNS, else 80, within 60 to 160.
[[nodiscard]] PlotStyle terminal_style();

/// Whether the name of a locale, such as en_GB.UTF-8, says UTF-8.
[[nodiscard]] bool is_utf8_locale(std::string_view name);

/// One character a value, from the lowest block to the highest at `full`; blank for 0. Of more values than columns,
/// the largest of neighbours is shown. `full` is above 0.
[[nodiscard]] std::string sparkline(std::span<const double> values, double full, std::size_t columns,
                                    const PlotStyle& style);

/// A horizontal bar of `columns` characters, filled to the share `value` in [0, 1]; dots fill the rest.
[[nodiscard]] std::string bar(double value, std::size_t columns, const PlotStyle& style);

/// One shaded character a value, blank for 0 to solid at `full`, coloured if the style has colours; ? where there is no
/// value. More values than columns are averaged. `full` is above 0.
[[nodiscard]] std::string heat_strip(std::span<const std::optional<double>> values, double full, std::size_t columns,
                                     const PlotStyle& style);

/// The shades of heat_strip(), lowest first, for a legend.
[[nodiscard]] std::string heat_legend(const PlotStyle& style);

/// Text in bold, where the style has colours.
[[nodiscard]] std::string emphasised(std::string_view text, const PlotStyle& style);

/// Text broken at spaces into lines of at most `width` columns, each ended by a newline and, but the first, indented.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t width, std::size_t indent);

}  // namespace evenkeel
