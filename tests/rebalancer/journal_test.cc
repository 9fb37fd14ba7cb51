#include "rebalancer/store/journal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

#include "rebalancer/core/recovery.h"

namespace evenkeel::rebalancer::journal_test {
namespace {

Placement placement() { return *contiguous_placement({0, 3}, 4, 2, 2, 1); }

JournalRecord prepare(std::uint64_t term, std::uint64_t epoch) {
  return {RecordKind::kPrepare, "model", {term, epoch}, placement(), ""};
}
JournalRecord commit(std::uint64_t term, std::uint64_t epoch) {
  return {RecordKind::kCommit, "model", {term, epoch}, std::nullopt, ""};
}
JournalRecord abort_of(std::uint64_t term, std::uint64_t epoch) {
  return {RecordKind::kAbort, "model", {term, epoch}, std::nullopt, "late"};
}

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "evenkeel-journal-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~JournalTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "journal.sqlite"; }

  std::filesystem::path folder_;
};

TEST_F(JournalTest, gives_back_what_it_took_after_it_was_opened_again) {
  std::vector<JournalRecord> written{prepare(1, 0), commit(1, 0), prepare(1, 1), abort_of(1, 1)};
  {
    auto journal = Journal::open(folder_);
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_TRUE(journal->append(std::span(written).first(2)));
    ASSERT_TRUE(journal->append(std::span(written).subspan(2)));
  }
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal) << journal.error().message;
  const auto read = journal->records();
  ASSERT_TRUE(read) << read.error().message;
  written[2].placement.reset();
  EXPECT_EQ(*read, written) << "the map that was given up is of no use";
}

TEST_F(JournalTest, stays_small_where_every_epoch_is_aborted_and_still_recovers) {
  constexpr std::uint64_t kAborts = 400;
  std::vector<int> layer_ids(58);
  std::iota(layer_ids.begin(), layer_ids.end(), 3);
  const Placement large = *contiguous_placement(layer_ids, 256, 32, 32, 4);
  {
    auto journal = Journal::open(folder_);
    ASSERT_TRUE(journal);
    const JournalRecord first{RecordKind::kPrepare, "model", {1, 0}, large, ""};
    ASSERT_TRUE(journal->append(std::vector{first, commit(1, 0)}));
    for (std::uint64_t epoch = 1; epoch <= kAborts; ++epoch) {
      const JournalRecord next{RecordKind::kPrepare, "model", {1, epoch}, large, ""};
      ASSERT_TRUE(journal->append(std::vector{next, abort_of(1, epoch)}));
    }
  }
  EXPECT_LT(std::filesystem::file_size(file()), 3U << 20U) << "400 maps of 24 KB are 10 MB";
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal);
  const auto records = journal->records();
  ASSERT_TRUE(records);
  EXPECT_LE(records->size(), 2 * 257U + 2) << "256 epochs, the newest and the committed one";
  const auto recovery = recover(2, *records);
  ASSERT_TRUE(recovery) << recovery.error().message;
  const GroupRecovery& group = recovery->groups.at("model");
  EXPECT_EQ(group.running->epoch, 0U);
  EXPECT_EQ(group.running->placement, large);
  EXPECT_EQ(group.next_epoch, kAborts + 1);
  EXPECT_TRUE(recovery->aborts.empty());
}

TEST_F(JournalTest, keeps_the_newest_totals_of_each_worker) {
  Grid<std::uint64_t> counts(2, 4, 3);
  counts(1, 3) = std::uint64_t{1} << 60;
  const TotalRecord ended{"model", "", 0, 0, {{Stage::kMixed, 9, counts}}};
  TotalRecord a{"model", "a", 7, 3, {{Stage::kDecode, 5, counts}, {Stage::kPrefill, 9, counts}}};
  const TotalRecord b{"model", "b", 8, 0, {}};
  {
    auto journal = Journal::open(folder_);
    ASSERT_TRUE(journal);
    ASSERT_TRUE(journal->keep(std::vector{ended, a, b, TotalRecord{"model", "c", 5, 1, a.stages}}));
    a.stages.pop_back();
    ASSERT_TRUE(journal->keep(std::vector{a, TotalRecord{"model", "c", 0, 0, {}}}));
  }
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal);
  const auto read = journal->totals();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, (std::vector{ended, a, b}));
}

TEST_F(JournalTest, begins_a_higher_term_each_time) {
  for (std::uint64_t term = 1; term <= 3; ++term) {
    auto journal = Journal::open(folder_);
    ASSERT_TRUE(journal);
    EXPECT_EQ(*journal->begin_term(), term);
  }
}

TEST_F(JournalTest, keeps_a_wish_until_it_is_taken_back) {
  {
    auto journal = Journal::open(folder_);
    ASSERT_TRUE(journal);
    EXPECT_EQ(*journal->wish("freeze"), std::nullopt);
    ASSERT_TRUE(journal->set_wish("freeze", "a release"));
    ASSERT_TRUE(journal->set_wish("freeze", "another"));
  }
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal);
  EXPECT_EQ(*journal->wish("freeze"), "another");
  ASSERT_TRUE(journal->set_wish("freeze", std::nullopt));
  EXPECT_EQ(*journal->wish("freeze"), std::nullopt);
}

TEST_F(JournalTest, survives_an_end_without_farewell) {
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->append(std::vector{prepare(1, 0), commit(1, 0), prepare(1, 1)}));
  // What a killed process leaves: the files as they are, the WAL not merged.
  const auto copy = folder_ / "copy";
  std::filesystem::create_directory(copy);
  for (const char* name : {"journal.sqlite", "journal.sqlite-wal"}) {
    std::filesystem::copy_file(folder_ / name, copy / name);
  }
  auto reopened = Journal::open(copy);
  ASSERT_TRUE(reopened) << reopened.error().message;
  const auto recovery = recover(2, *reopened->records());
  ASSERT_TRUE(recovery);
  EXPECT_EQ(recovery->groups.at("model").running->epoch, 0U);
  EXPECT_EQ(recovery->groups.at("model").next_epoch, 2U);
  ASSERT_EQ(recovery->aborts.size(), 1U);
  EXPECT_EQ(recovery->aborts.front().stamp, (wire::Stamp{1, 1}));
}

TEST_F(JournalTest, forgets_epochs_far_behind_a_commit) {
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->append(std::vector{prepare(1, 0), commit(1, 0), prepare(1, 300), commit(1, 300)}));
  EXPECT_EQ(journal->records()->size(), 2U);
}

TEST_F(JournalTest, is_held_by_one_process_at_a_time) {
  auto journal = Journal::open(folder_);
  ASSERT_TRUE(journal);
  const auto second = Journal::open(folder_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another rebalancer"), std::string::npos) << second.error().message;
}

TEST_F(JournalTest, says_which_file_is_damaged_and_what_to_do) {
  std::ofstream(file()) << std::string(8192, 'x');
  const auto journal = Journal::open(folder_);
  ASSERT_FALSE(journal);
  EXPECT_NE(journal.error().message.find(file().string()), std::string::npos) << journal.error().message;
  EXPECT_NE(journal.error().message.find("restore it"), std::string::npos) << journal.error().message;
}

TEST_F(JournalTest, refuses_a_page_damaged_in_the_middle) {
  {
    auto journal = Journal::open(folder_);
    ASSERT_TRUE(journal);
    ASSERT_TRUE(journal->append(std::vector{prepare(1, 0), commit(1, 0)}));
  }
  std::fstream damaged(file(), std::ios::in | std::ios::out | std::ios::binary);
  damaged.seekp(4096);
  damaged << std::string(4096, 'x');
  damaged.close();
  EXPECT_FALSE(Journal::open(folder_));
}

TEST_F(JournalTest, refuses_a_folder_it_cannot_make) {
  std::ofstream(folder_ / "file") << "x";
  const auto journal = Journal::open(folder_ / "file" / "state");
  ASSERT_FALSE(journal);
  EXPECT_NE(journal.error().message.find("--state"), std::string::npos);
}

TEST(Recovery, refuses_a_commit_whose_map_is_missing) {
  EXPECT_FALSE(recover(2, std::vector{prepare(1, 0), commit(1, 0), commit(1, 1)}));
}

TEST(Recovery, starts_empty) {
  const auto recovery = recover(1, std::vector<JournalRecord>{});
  ASSERT_TRUE(recovery);
  EXPECT_TRUE(recovery->groups.empty());
}

}  // namespace
}  // namespace evenkeel::rebalancer::journal_test
