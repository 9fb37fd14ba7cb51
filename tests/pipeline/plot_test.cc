#include "pipeline/report/plot.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "pipeline/report/table.h"

namespace evenkeel::plot_test {
namespace {

constexpr PlotStyle kUnicode{true, false, 80};
constexpr PlotStyle kAscii{false, false, 80};

TEST(Sparkline, rises_from_blank_to_full) {
  const std::vector<double> values{0, 0.01, 1, 2};
  EXPECT_EQ(sparkline(values, 2, 10, kUnicode), " ▁▄█");
  EXPECT_EQ(sparkline(values, 2, 10, kAscii), " .=#");
}

TEST(Sparkline, shows_the_largest_of_neighbours_where_columns_are_few) {
  const std::vector<double> values{2, 0, 1, 0};
  EXPECT_EQ(sparkline(values, 2, 2, kUnicode), "█▄");
}

TEST(Bar, fills_by_eighths_of_a_column) {
  EXPECT_EQ(bar(0.5, 4, kUnicode), "██··");
  EXPECT_EQ(bar(0.53125, 4, kUnicode), "██▏·");
  EXPECT_EQ(bar(1.5, 2, kUnicode), "██");
  EXPECT_EQ(bar(0.5, 4, kAscii), "##..");
}

TEST(HeatStrip, shades_values_and_marks_those_that_are_absent) {
  const std::vector<std::optional<double>> values{0.0, 0.2, 1.0, std::nullopt};
  EXPECT_EQ(heat_strip(values, 1, 10, kUnicode), " ░█?");
  EXPECT_EQ(heat_strip(values, 1, 10, kAscii), " .#?");
  EXPECT_EQ(heat_strip(values, 1, 10, {false, true, 80}), " \x1b[38;5;67m.\x1b[0m\x1b[38;5;160m#\x1b[0m?");
}

TEST(TerminalStyle, follows_the_locale_and_leaves_pipes_without_colour) {
  ::setenv("LC_ALL", "", 1);
  ::setenv("LC_CTYPE", "de_DE.UTF-8", 1);
  ::setenv("LANG", "C", 1);
  ::setenv("COLUMNS", "100", 1);
  EXPECT_TRUE(terminal_style().has_unicode);
  ::setenv("LC_ALL", "POSIX", 1);
  EXPECT_FALSE(terminal_style().has_unicode);
  EXPECT_TRUE(is_utf8_locale("C.utf8"));
  EXPECT_FALSE(is_utf8_locale("en_US.ISO-8859-1"));
}

TEST(Wrapped, breaks_at_spaces_and_indents_what_follows) {
  EXPECT_EQ(wrapped("one two three four", 9, 2), "one two\n  three\n  four\n");
  EXPECT_EQ(wrapped("short", 80, 2), "short\n");
}

TEST(Table, counts_characters_not_bytes) {
  Table table({"a", "picture"});
  table.add({"x", "██"});
  EXPECT_EQ(table.text(), "a  picture\n----------\nx       ██\n");
}

}  // namespace
}  // namespace evenkeel::plot_test
