#include "rebalancer/service/settings.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace evenkeel::rebalancer::settings_test {
namespace {

Settings settings(std::string cluster, std::optional<std::size_t> gpus) {
  Settings settings;
  settings.agents = 2;
  settings.cluster = std::move(cluster);
  settings.gpus = gpus;
  return settings;
}

std::string file_of(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::ofstream(path) << text;
  return path.string();
}

std::string why(const Settings& settings) {
  const auto options = core_options(settings);
  return options ? "" : options.error().message;
}

TEST(RebalancerSettings, without_a_cluster_are_of_the_default_hardware) {
  const auto options = core_options(settings("", 8));
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->policy.cluster.intra_node, Cluster{}.intra_node);
  EXPECT_EQ(options->policy.step_time.compute_per_token, StepTimeModel{}.compute_per_token);
  EXPECT_EQ(options->policy.step_time.compute_per_expert, StepTimeModel{}.compute_per_expert);
}

TEST(RebalancerSettings, take_links_and_speeds_from_hardware_and_counts_beside_it) {
  Settings gb200 = settings("gb200-nvl72", 16);
  gb200.nodes = 2;
  const auto options = core_options(gb200);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->policy.cluster.gpus, 16U);
  EXPECT_EQ(options->policy.cluster.nodes, 2U);
  EXPECT_EQ(options->policy.cluster.intra_node.bandwidth_gb_per_s, 900);
  EXPECT_LT(options->policy.step_time.compute_per_expert, StepTimeModel{}.compute_per_expert);
}

TEST(RebalancerSettings, take_counts_and_measured_constants_from_a_cluster_file) {
  const std::string file = file_of("measured.yaml", "gpus: 8\nnodes: 2\nstep_time:\n  compute_per_token_us: 0.5\n");
  const auto options = core_options(settings(file, std::nullopt));
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->cluster.gpus, 8U);
  EXPECT_EQ(options->cluster.nodes, 2U);
  EXPECT_EQ(options->policy.step_time.compute_per_token.count(), 0.5);
  EXPECT_NE(why(settings(file, 8)).find("give one or the other"), std::string::npos);
}

TEST(RebalancerSettings, name_the_group_of_a_file_with_several) {
  const std::string file = file_of("groups.yaml", "name: a\ngpus: 4\n---\nname: b\ngpus: 8\n");
  Settings chosen = settings(file, std::nullopt);
  EXPECT_NE(why(chosen).find("name one of a, b"), std::string::npos) << why(chosen);
  chosen.ep_group = "c";
  EXPECT_NE(why(chosen).find("no group 'c'"), std::string::npos) << why(chosen);
  chosen.ep_group = "b";
  EXPECT_EQ(core_options(chosen)->cluster.gpus, 8U);
  chosen = settings("", 8);
  chosen.ep_group = "b";
  EXPECT_NE(why(chosen).find("give --cluster"), std::string::npos);
}

TEST(RebalancerSettings, refuse_what_no_group_can_be_made_of) {
  EXPECT_NE(why(settings("", std::nullopt)).find("--gpus is missing"), std::string::npos);
  EXPECT_NE(why(settings("h1000", 8)).find("h200"), std::string::npos) << why(settings("h1000", 8));
  const std::string unequal = file_of("unequal.yaml", "gpus: 2\nnodes: 1\nspeeds: [1, 0.5]\n");
  EXPECT_NE(why(settings(unequal, std::nullopt)).find("leave out speeds"), std::string::npos);
}

}  // namespace
}  // namespace evenkeel::rebalancer::settings_test
