#include "agents/recordings/recordings_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel::agent {
namespace {

namespace fs = std::filesystem;

/// A folder with one recording that was written long ago, and an agent that has counted it.
class RecordingsFolderTest : public ::testing::Test {
 protected:
  RecordingsFolderTest() {
    temporary_.write("recordings/first.json", R"({"logical_count": [[1, 2, 3, 4]]})");
    fs::last_write_time(file_, fs::file_time_type::clock::now() - std::chrono::minutes(1));
    look_twice();
    EXPECT_EQ(folder_->counted(), 1U);
  }
  /// What is new is finished when it is the same at the second look.
  void look_twice() {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(folder_->look());
  }

  evenkeel::testing::TemporaryFolder temporary_;
  fs::path recordings_ = temporary_.path() / "recordings";
  fs::path file_ = recordings_ / "first.json";
  std::vector<std::string> events_;
  Result<RecordingsFolder> folder_ = [this] {
    fs::create_directory(recordings_);
    return RecordingsFolder::open(recordings_, temporary_.path() / "state.json", {.read = {.experts = 4}},
                                  [this](const wire::Note& note) { events_.push_back(note.event); });
  }();
};

TEST_F(RecordingsFolderTest, counts_nothing_again_after_the_folder_could_not_be_read) {
  fs::rename(recordings_, temporary_.path() / "away");
  look_twice();
  fs::rename(temporary_.path() / "away", recordings_);
  look_twice();
  EXPECT_EQ(folder_->counted(), 1U);
  EXPECT_EQ(folder_->counts().stages().at(0).tokens, 10U);
  EXPECT_EQ(events_, (std::vector<std::string>{"recording_counted", "recordings_unreadable"})) << "told of once";
}

TEST_F(RecordingsFolderTest, counts_nothing_again_after_a_file_could_not_be_looked_at_and_counts_others_meanwhile) {
  fs::rename(file_, temporary_.path() / "away.json");
  fs::create_symlink(file_, file_);
  temporary_.write("recordings/second.json", R"({"logical_count": [[10, 0, 0, 0]]})");
  fs::last_write_time(recordings_ / "second.json", fs::file_time_type::clock::now() - std::chrono::minutes(1));
  look_twice();
  fs::rename(temporary_.path() / "away.json", file_);
  look_twice();
  EXPECT_EQ(folder_->counted(), 2U);
  EXPECT_EQ(folder_->counts().stages().at(0).tokens, 20U);
}

TEST_F(RecordingsFolderTest, forgets_a_file_that_is_gone) {
  fs::remove(file_);
  EXPECT_TRUE(folder_->look());
  EXPECT_TRUE(folder_->counts().files.empty());
  EXPECT_EQ(folder_->counts().stages().at(0).tokens, 10U);
}

}  // namespace
}  // namespace evenkeel::agent
