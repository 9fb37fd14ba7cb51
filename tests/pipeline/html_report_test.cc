#include "pipeline/report/html_report.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "partition/cost/metrics.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::html_report_test {
namespace {

/// One layer whose four experts have loads 4, 2, 1, 1: on two GPUs in order 6 and 2, at best 5 and 3.
RoutingProfile skewed_profile() {
  RoutingProfile profile;
  profile.shape = {{3}, 4, std::nullopt};
  Grid<std::uint64_t> load(1, 4);
  load(0, 0) = 4000;
  load(0, 1) = 2000;
  load(0, 2) = 1000;
  load(0, 3) = 1000;
  profile.windows.push_back({.load_tokens = load});
  return profile;
}

Placement placed(std::vector<ExpertIndex> experts) {
  Grid<ExpertIndex> slots(1, 4);
  std::ranges::copy(experts, slots.cells().begin());
  return Placement::create({{3}, 4, 1, {2, 2}, slots, std::nullopt}).value();
}

Placement on_one_gpu() {
  return Placement::create({{3}, 4, 1, {4, 0}, placed({0, 1, 2, 3}).fields().expert_of_slot, std::nullopt}).value();
}

ReportPlacement scored(std::string name, std::vector<ExpertIndex> experts, const RoutingProfile& profile) {
  const Placement placement = placed(std::move(experts));
  const auto metrics = measure(profile, placement, Cluster{.gpus = 2}, {}, Comm::kResident).value();
  return {{std::move(name), SolveStatus::kOk, std::nullopt, metrics, std::nullopt, std::nullopt, {}}, placement};
}

class HtmlReports : public ::testing::Test {
 protected:
  HtmlReport report() const {
    HtmlReport report{"partition", {{"traces", {"a.npz"}}}, Cluster{.gpus = 2}, Comm::kResident, {}};
    report.traffic = &profile_;
    report.before = scored("contiguous", {0, 1, 2, 3}, profile_);
    report.placements.push_back(scored("evenkeel", {0, 2, 1, 3}, profile_));
    return report;
  }

  RoutingProfile profile_ = skewed_profile();
};

TEST_F(HtmlReports, give_gpu_loads_in_thousandths_of_the_layers_mean) {
  const auto json = report_json(report());
  EXPECT_EQ(json.at("schema"), "evenkeel.report/1");
  EXPECT_EQ(json.at("before").at("gpu_load").dump(), "[[1500,500]]");
  EXPECT_EQ(json.at("placements")[0].at("gpu_load").dump(), "[[1250,750]]");
  EXPECT_EQ(json.at("after"), "evenkeel");
}

TEST_F(HtmlReports, give_expert_loads_hottest_first) {
  EXPECT_EQ(report_json(report()).at("expert_load").dump(), "[[2000,1000,500,500]]");
}

TEST_F(HtmlReports, leave_out_what_needs_token_paths) {
  const auto json = report_json(report());
  EXPECT_TRUE(json.at("placements")[0].at("tiers").is_null());
  EXPECT_TRUE(json.at("placements")[0].at("communication").is_null());
  EXPECT_TRUE(json.at("timeline").is_null());
  EXPECT_TRUE(json.at("consistency").empty());
}

TEST_F(HtmlReports, say_by_how_much_a_step_is_shorter) {
  HtmlReport made = report();
  made.before->score.in_sample->step_time_seconds = 0.010;
  made.placements[0].score.in_sample->step_time_seconds = 0.008;
  const auto verdict = report_json(made).at("verdict");
  EXPECT_EQ(verdict.at("word"), "better");
  EXPECT_EQ(verdict.at("sentence"),
            "evenkeel makes the modelled compute of a step 20.0 % shorter than contiguous: 8.00 instead of 10.00 ms.");
}

TEST_F(HtmlReports, say_keep_where_nothing_is_shorter_by_half_a_percent) {
  HtmlReport made = report();
  made.before->score.in_sample->step_time_seconds = 0.010;
  made.placements[0].score.in_sample->step_time_seconds = 0.00996;
  EXPECT_EQ(report_json(made).at("verdict").at("word"), "keep");
}

TEST_F(HtmlReports, do_not_say_keep_of_a_placement_on_lost_gpus) {
  HtmlReport made = report();
  made.placements[0].placement = on_one_gpu();
  made.placements[0].score.in_sample->step_time_seconds = 1;
  const auto json = report_json(made);
  EXPECT_EQ(json.at("verdict").at("word"), "rebalance");
  EXPECT_EQ(json.at("placements")[0].at("gpu_load").dump(), "[[1000,null]]");
}

TEST_F(HtmlReports, take_a_verdict_as_it_is_given) {
  HtmlReport made = report();
  made.verdict = ReportVerdict{"rebalance", "Every 6 windows pays."};
  EXPECT_EQ(report_json(made).at("verdict").at("sentence"), "Every 6 windows pays.");
}

TEST_F(HtmlReports, do_not_take_a_point_of_the_front_for_the_result) {
  HtmlReport made = report();
  made.placements.push_back(made.placements[0]);
  made.placements[1].slack = 0.1;
  made.placements[1].score.in_sample->step_time_seconds = 0;
  EXPECT_EQ(best_placement(made), &made.placements[0]);
}

TEST_F(HtmlReports, do_not_compare_a_placement_with_itself) {
  HtmlReport made = report();
  made.placements[0].score.strategy = "contiguous";
  EXPECT_EQ(best_placement(made), nullptr);
  const auto json = report_json(made);
  EXPECT_TRUE(json.at("after").is_null());
  EXPECT_EQ(json.at("verdict").at("word"), "figures");
  made.placements.clear();
  made.before.reset();
  EXPECT_EQ(report_json(made).at("verdict").at("sentence"), "No placement was found.");
}

TEST_F(HtmlReports, round_figures_to_six_digits) {
  HtmlReport made = report();
  made.placements[0].score.in_sample->step_time_seconds = 0.0012345678;
  EXPECT_EQ(report_json(made).at("placements")[0].at("in_sample").at("step_time_seconds").dump(), "0.00123457");
}

TEST_F(HtmlReports, hold_no_markup_from_names) {
  HtmlReport made = report();
  made.options = {{"traces", {"</script><script>alert(1)</script>.npz"}}};
  const std::string page = html_page(report_json(made));
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_NE(page.find("\\u003c/script>\\u003cscript>alert(1)"), std::string::npos);
}

TEST_F(HtmlReports, are_one_page) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "report.html";
  ASSERT_TRUE(write_html_report(path, report()));
  std::ifstream in(path);
  const std::string page(std::istreambuf_iterator<char>(in), {});
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  EXPECT_EQ(page.find(" src="), std::string::npos);
  EXPECT_EQ(page.find("<link"), std::string::npos);
}

TEST(HtmlTimeline, thins_many_windows_and_changes) {
  ReportTimeline timeline;
  timeline.policies.push_back(
      {"never", {.throughput_tokens_per_s = 5e5}, std::vector<double>(100'000), std::vector<double>(100'000, 0.5), {}});
  for (std::size_t window = 0; window < 100'000; ++window) {
    timeline.policies[0].imbalance[window] = window % 2 == 0 ? 1.0 : 2.0;
  }
  timeline.policies[0].epochs.assign(1000, {99'999, "it pays", 12, 0.25});
  const auto json = timeline_json(timeline);
  EXPECT_EQ(json.at("windows"), 100'000);
  const auto& policy = json.at("policies")[0];
  EXPECT_LE(policy.at("imbalance").size(), kTimelinePointsMax);
  EXPECT_EQ(policy.at("imbalance").size(), policy.at("step_time_seconds").size());
  EXPECT_NEAR(policy.at("imbalance")[0].get<double>(), 1.5, 0.01);
  EXPECT_EQ(policy.at("totals").at("throughput"), 5e5);
  EXPECT_EQ(policy.at("changes"), 1000);
  EXPECT_EQ(policy.at("epochs").size(), kTimelineEpochsMax);
  EXPECT_EQ(policy.at("epochs")[0].at("window"), 99'999);
  EXPECT_EQ(policy.at("epochs")[0].at("reason"), "it pays");
}

}  // namespace
}  // namespace evenkeel::html_report_test
