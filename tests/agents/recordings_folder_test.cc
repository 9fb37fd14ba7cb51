#include "agents/recordings/recordings_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel::agent::recordings_folder_test {
namespace {

namespace fs = std::filesystem;

/// A folder with one recording that was written long ago, and an agent that has counted it.
class RecordingsFolderTest : public ::testing::Test {
 protected:
  RecordingsFolderTest() {
    write("first.json", R"({"logical_count": [[1, 2, 3, 4]]})");
    look_twice();
    EXPECT_EQ(folder_->counted(), 1U);
  }
  void write(const std::string& name, const std::string& content,
             std::chrono::minutes age = std::chrono::minutes(1)) const {
    temporary_.write("recordings/" + name, content);
    fs::last_write_time(recordings_ / name, fs::file_time_type::clock::now() - age);
  }
  /// An agent of the folder as it is now.
  [[nodiscard]] Result<RecordingsFolder> open() {
    return RecordingsFolder::open(recordings_, state_, {.read = {.experts = 4}, .gone_files_max = 2},
                                  [this](const wire::Note& note) {
                                    events_.push_back(note.event);
                                    if (on_event_) on_event_();
                                  });
  }
  [[nodiscard]] std::uint64_t tokens() const { return folder_->counts().stages().at(0).tokens; }
  /// What is new is finished when it is the same at the second look.
  void look_twice() {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(folder_->look());
  }

  evenkeel::testing::TemporaryFolder temporary_;
  fs::path recordings_ = temporary_.path() / "recordings";
  fs::path file_ = recordings_ / "first.json";
  fs::path state_ = temporary_.path() / "state.json";
  std::vector<std::string> events_;
  std::function<void()> on_event_;
  Result<RecordingsFolder> folder_ = [this] {
    fs::create_directory(recordings_);
    return open();
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
  write("second.json", R"({"logical_count": [[10, 0, 0, 0]]})");
  look_twice();
  fs::rename(temporary_.path() / "away.json", file_);
  look_twice();
  EXPECT_EQ(folder_->counted(), 2U);
  EXPECT_EQ(folder_->counts().stages().at(0).tokens, 20U);
}

TEST_F(RecordingsFolderTest, counts_nothing_again_under_another_name) {
  fs::rename(file_, recordings_ / "old.json");
  look_twice();
  fs::create_hard_link(recordings_ / "old.json", file_);
  look_twice();
  EXPECT_EQ(folder_->counted(), 1U);
  fs::rename(file_, recordings_ / "older.json");
  folder_ = open();
  look_twice();
  EXPECT_EQ(folder_->counted(), 0U) << "renamed while no agent ran";
  EXPECT_EQ(folder_->refused(), 0U);
  EXPECT_EQ(tokens(), 10U);
}

TEST_F(RecordingsFolderTest, counts_a_new_file_that_has_the_name_of_one_that_was_renamed_or_removed) {
  fs::rename(file_, recordings_ / "old.json");
  write("first.json", R"({"logical_count": [[10, 0, 0, 0]]})", std::chrono::minutes(2));
  look_twice();
  EXPECT_EQ(tokens(), 20U);
  fs::remove(file_);
  EXPECT_TRUE(folder_->look());
  write("first.json", R"({"logical_count": [[100, 0, 0, 0]]})", std::chrono::minutes(3));
  look_twice();
  EXPECT_EQ(tokens(), 120U);
  EXPECT_EQ(folder_->refused(), 0U);
}

TEST_F(RecordingsFolderTest, counts_neither_again_of_two_files_of_which_one_took_the_place_of_the_other) {
  write("second.json", R"({"logical_count": [[10, 0, 0, 0]]})", std::chrono::minutes(2));
  look_twice();
  fs::create_hard_link(file_, temporary_.path() / "kept.json");
  fs::rename(recordings_ / "second.json", file_);
  look_twice();
  fs::rename(temporary_.path() / "kept.json", recordings_ / "kept.json");
  look_twice();
  EXPECT_EQ(tokens(), 20U);
  EXPECT_EQ(folder_->refused(), 0U);
}

TEST_F(RecordingsFolderTest, refuses_a_file_that_was_written_again) {
  write("first.json", R"({"logical_count": [[10, 0, 0, 0]]})", std::chrono::minutes(2));
  look_twice();
  EXPECT_EQ(folder_->refused(), 1U);
  EXPECT_EQ(tokens(), 10U);
}

TEST_F(RecordingsFolderTest, counts_nothing_again_after_its_disk_was_away_for_one_look_and_has_another_number) {
  fs::rename(recordings_, temporary_.path() / "disk");
  fs::create_directory(recordings_);
  EXPECT_TRUE(folder_->look());
  EXPECT_TRUE(folder_->counts().files.empty()) << "they are gone, and not in the folder";
  fs::remove(recordings_);
  // Copies with their times have other numbers, as files of a disk that is mounted again may.
  fs::copy(temporary_.path() / "disk", recordings_);
  fs::last_write_time(file_, fs::last_write_time(temporary_.path() / "disk" / "first.json"));
  look_twice();
  EXPECT_EQ(folder_->counted(), 1U);
  EXPECT_EQ(tokens(), 10U);
}

TEST_F(RecordingsFolderTest, remembers_of_the_files_that_are_gone_those_written_last) {
  const fs::path away = temporary_.path() / "away";
  fs::create_directory(away);
  // Counted in the order of their names, which is not that of their times.
  const std::vector<std::string> names{"first.json", "second.json", "third.json"};
  write(names[1], R"({"logical_count": [[20, 0, 0, 0]]})", std::chrono::minutes(9));
  write(names[2], R"({"logical_count": [[100, 0, 0, 0]]})", std::chrono::minutes(3));
  look_twice();
  for (const std::string& name : names) fs::rename(recordings_ / name, away / name);
  EXPECT_TRUE(folder_->look());
  write("new.json", R"({"logical_count": [[1000, 0, 0, 0]]})");
  look_twice();
  EXPECT_EQ(tokens(), 1130U);
  EXPECT_EQ(folder_->counts().gone.size(), 2U);
  folder_ = open();
  for (const std::string& name : names) fs::rename(away / name, recordings_ / name);
  look_twice();
  EXPECT_EQ(tokens(), 1150U) << "the second, written before the two others, is counted again";
}

TEST_F(RecordingsFolderTest, goes_no_further_while_the_state_is_gone_or_another) {
  const fs::path away = temporary_.path() / "away.json";
  fs::rename(state_, away);
  write("second.json", R"({"logical_count": [[10, 0, 0, 0]]})");
  look_twice();
  temporary_.write("state.json", "{}");
  look_twice();
  EXPECT_EQ(tokens(), 10U);
  EXPECT_EQ(events_, (std::vector<std::string>{"recording_counted", "recordings_unreadable"})) << "told of once";
  // With its time, as on a disk that is mounted again.
  fs::copy_file(away, state_, fs::copy_options::overwrite_existing);
  fs::last_write_time(state_, fs::last_write_time(away));
  look_twice();
  EXPECT_EQ(tokens(), 20U);
}

TEST_F(RecordingsFolderTest, counts_no_more_of_a_look_once_the_state_is_gone) {
  write("second.json", R"({"logical_count": [[10, 0, 0, 0]]})");
  write("third.json", R"({"logical_count": [[10, 0, 0, 0]]})");
  on_event_ = [this] { fs::remove(state_); };
  look_twice();
  EXPECT_EQ(folder_->counted(), 2U);
  EXPECT_EQ(tokens(), 20U);
  EXPECT_FALSE(fs::exists(state_));
}

TEST_F(RecordingsFolderTest, goes_on_from_a_state_that_appears_before_anything_is_counted) {
  const auto incarnation = folder_->counts().incarnation;
  const fs::path disk = temporary_.path() / "disk";
  fs::rename(recordings_, disk);
  fs::rename(state_, disk / ".state.json");
  fs::create_directory(recordings_);
  state_ = recordings_ / ".state.json";
  folder_ = open();
  look_twice();
  EXPECT_FALSE(folder_->counts().has_model());
  fs::remove(recordings_);
  fs::rename(disk, recordings_);
  look_twice();
  EXPECT_EQ(folder_->counts().incarnation, incarnation);
  EXPECT_EQ(folder_->counted(), 0U);
  EXPECT_EQ(tokens(), 10U);
}

TEST_F(RecordingsFolderTest, gives_each_process_numbers_of_reports_above_all_before) {
  for (std::uint64_t process = 1; process < 4; ++process) {
    folder_ = open();
    EXPECT_EQ(folder_->counts().reports_from, process * kReportsOfProcess);
  }
}

}  // namespace
}  // namespace evenkeel::agent::recordings_folder_test
