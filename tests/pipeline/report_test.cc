#include <gtest/gtest.h>

#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"
#include "pipeline/report/table.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::report_test {
namespace {

TEST(Table, aligns_names_left_and_figures_right) {
  Table table({"name", "value"});
  table.add({"a", "1.25"});
  table.add({"longer", "10"});
  EXPECT_EQ(table.text(), "name    value\n-------------\na        1.25\nlonger     10\n");
}

TEST(Table, puts_titles_over_groups_of_columns) {
  Table table({"name", "fitted", "scored"});
  table.add({"a", "1", "2"});
  table.add_group("out", 2, 1);
  EXPECT_EQ(table.text(), "               out -\nname  fitted  scored\n--------------------\na          1       2\n");
}

TEST(Scores, write_absent_figures_as_null) {
  ScoreRow row{"lpt", SolveStatus::kOk, 0.5, Metrics{}, std::nullopt, Certificate{}, {}};
  const auto json = scores_json({{"gpus", 8}}, 3, 2, {row});
  EXPECT_EQ(json.at("schema"), "evenkeel.scores/1");
  EXPECT_EQ(json.at("split").at("fit_sequences"), 3);
  const auto& written = json.at("rows")[0];
  EXPECT_EQ(written.at("status"), "ok");
  EXPECT_TRUE(written.at("held_out").is_null());
  EXPECT_TRUE(written.at("in_sample").at("same_gpu_share").is_null());
  EXPECT_TRUE(written.at("certificate").at("bound").is_null());
}

TEST(OutputFile, replaces_a_file_whole_and_leaves_nothing_beside_it) {
  const testing::TemporaryFolder folder;
  const auto path = folder.write("out.json", "old and longer");
  ASSERT_TRUE(write_output(path, "new"));
  std::ifstream in(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()),
            1);
}

TEST(OutputFile, fails_in_a_folder_that_is_not_there) {
  const auto status = write_output("/nonexistent/folder/out.json", "text");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kFailure);
}

}  // namespace
}  // namespace evenkeel::report_test
