#include <gtest/gtest.h>

#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_totals_test {
namespace {

using CoreTotals = CoreTest;

std::vector<std::uint64_t> totals(const Core& core) {
  const auto first_layer = core.registry().load_tokens()[0];
  return {first_layer.begin(), first_layer.end()};
}

wire::Report last_of(wire::Report report) {
  report.is_last = true;
  return report;
}

TEST_F(CoreTotals, of_an_ended_worker_are_written_before_they_are_acknowledged) {
  join_both();
  const auto actions = receive("a", last_of(report_of(1, {1, 2, 0, 0})));
  ASSERT_TRUE(first<WriteTotals>(actions));
  EXPECT_EQ(first<WriteTotals>(actions)->records.front().model, "model");
  EXPECT_TRUE(std::holds_alternative<WriteTotals>(actions.front()));
  EXPECT_TRUE(sent_to<wire::ReportAck>(actions, "a"));
}

TEST_F(CoreTotals, of_workers_that_ended_outlive_the_rebalancer) {
  join_both();
  static_cast<void>(report("b", 1, {0, 0, 5, 0}));
  static_cast<void>(receive("a", last_of(report_of(1, {1, 2, 0, 0}))));
  restart();
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{1, 2, 0, 0}));
  static_cast<void>(hello("a", 2));
  static_cast<void>(report("a", 1, {3, 0, 0, 0}, 2));
  static_cast<void>(hello("b"));
  static_cast<void>(report("b", 2, {0, 0, 6, 0}));
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{4, 2, 6, 0}));
  EXPECT_EQ(core_.registry().tokens(), 12U);
  restart();
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{1, 2, 0, 0})) << "what lives tells it again";
}

TEST_F(CoreTotals, are_counted_once_where_a_last_report_comes_again_after_a_restart) {
  join_both();
  static_cast<void>(receive("a", last_of(report_of(3, {1, 2, 0, 0}))));
  restart();
  static_cast<void>(hello("a"));
  EXPECT_TRUE(sent_to<wire::ReportAck>(receive("a", last_of(report_of(3, {1, 2, 0, 0}))), "a"));
  static_cast<void>(receive("a", last_of(report_of(4, {1, 2, 0, 0}))));
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{1, 2, 0, 0}));
}

TEST_F(CoreTotals, of_an_incarnation_that_a_newer_one_replaced_outlive_the_rebalancer) {
  join_both();
  static_cast<void>(report("a", 1, {1, 2, 0, 0}));
  static_cast<void>(hello("a", 2));
  restart();
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{1, 2, 0, 0}));
  EXPECT_TRUE(sent_to<wire::Refusal>(hello("a", 1), "a")) << "it would be counted twice";
  static_cast<void>(hello("a", 3));
  static_cast<void>(report("a", 1, {1, 0, 0, 0}, 3));
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{2, 2, 0, 0}));
}

TEST_F(CoreTotals, of_workers_that_fell_silent_outlive_the_rebalancer) {
  join_both();
  static_cast<void>(report("a", 1, {1, 2, 0, 0}));
  static_cast<void>(tick(milliseconds(60'001)));
  EXPECT_FALSE(first<WriteTotals>(tick(milliseconds(1)))) << "they are written once";
  restart();
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{1, 2, 0, 0}));
}

TEST_F(CoreTotals, of_a_worker_whose_rank_passed_on_and_came_back_are_counted_once) {
  join_both();
  static_cast<void>(report("a", 1, {1, 2, 0, 0}));
  now_ += milliseconds(60'001);
  static_cast<void>(receive("c", hello_of(0)));
  now_ += milliseconds(60'001);
  static_cast<void>(hello("a"));
  static_cast<void>(report("a", 2, {2, 2, 0, 0}));
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{2, 2, 0, 0}));
}

TEST_F(CoreTotals, of_another_shape_than_the_map_are_refused_at_the_start) {
  join_both();
  static_cast<void>(receive("a", last_of(report_of(1, {1, 2, 0, 0}))));
  totals_.front().stages.front().load_tokens = Grid<std::uint64_t>(1, 4);
  EXPECT_FALSE(recover(2, journal_, totals_));
}

TEST_F(CoreTotals, are_none_of_workers_that_went_before_they_counted) {
  for (int i = 0; i < 200; ++i) {
    const Actions joined = receive("pod-" + std::to_string(i), hello_of(0, 1 + static_cast<std::uint64_t>(i)));
    ASSERT_TRUE(sent_to<wire::Snapshot>(joined, "pod-" + std::to_string(i)));
    now_ += milliseconds(60'001);
  }
  EXPECT_LE(totals_.size(), 70U);
  for (const TotalRecord& record : totals_) EXPECT_TRUE(record.stages.empty()) << record.worker;
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_totals_test
