#include "pipeline/flags/field_flags.h"

#include <gtest/gtest.h>

namespace evenkeel::field_flags_test {
namespace {

/// A program of two commands, parsed with these words.
class FieldFlags : public ::testing::Test {
 protected:
  FieldFlags() {
    CLI::App* const synth = program_.add_subcommand("synth");
    synth->add_option("--shift-at", number_);
    synth->add_option("--max-moves", number_);
    program_.add_subcommand("profile")->add_option("--window-sequences", number_);
  }

  std::string told(const std::vector<std::string>& fields, std::vector<std::string> words = {"synth"}) {
    program_.parse(std::move(words));
    return with_flags(program_, "it is 2", fields);
  }

 private:
  CLI::App program_{"", "evenkeel"};
  int number_ = 0;
};

TEST_F(FieldFlags, names_the_flag_of_the_command) { EXPECT_EQ(told({"shift_at"}), "it is 2 (--shift-at)"); }

TEST_F(FieldFlags, knows_flags_that_are_called_otherwise) {
  EXPECT_EQ(told({"moves_ratio_max"}), "it is 2 (--max-moves)");
}

TEST_F(FieldFlags, names_the_command_that_has_the_flag) {
  EXPECT_EQ(told({"window_sequences"}), "it is 2 (evenkeel profile --window-sequences)");
}

TEST_F(FieldFlags, adds_nothing_where_no_command_has_one) {
  EXPECT_EQ(told({"depth"}), "it is 2");
  EXPECT_EQ(told({}), "it is 2");
}

TEST_F(FieldFlags, lists_several) {
  EXPECT_EQ(told({"shift_at", "depth", "window_sequences"}),
            "it is 2 (--shift-at, evenkeel profile --window-sequences)");
}

TEST(FieldFlagsOfAProgram, names_its_own_flags) {
  CLI::App program("", "evenkeel-rebalancer");
  double share = 0;
  program.add_option("--stall", share);
  program.parse(std::vector<std::string>{});
  EXPECT_EQ(with_flags(program, "stall_ratio is 2; give 0 to 1", {"stall_ratio"}),
            "stall_ratio is 2; give 0 to 1 (--stall)");
}

}  // namespace
}  // namespace evenkeel::field_flags_test
