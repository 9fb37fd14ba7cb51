#include <gtest/gtest.h>

#include "partition/foundation/random.h"
#include "pipeline/calibrate/calibration.h"
#include "pipeline/calibrate/measurements.h"
#include "pipeline/config/cluster_file.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::calibrate_test {
namespace {

using testing::TemporaryFolder;

// c, a, bandwidth, latency that measurements are made up from.
constexpr double kPerToken = 0.09e-6;
constexpr double kPerExpert = 13e-6;
constexpr double kBytesPerSecond = 380e9;
constexpr double kLatency = 3.4e-6;

/// Small and large batches of 8 experts, and transfers of a kilobyte to a gigabyte; each off by up to `noise`.
Measurements made_up(double noise) {
  Random random(7, 0);
  const auto noisy = [&](double seconds) { return seconds * (1 + noise * (random.below(2001) / 1000.0 - 1)); };
  Measurements measurements;
  for (const double tokens : {16, 64, 256, 1024, 4096, 16384}) {
    for (const double experts : {1, 4, 8}) {
      measurements.compute.push_back({tokens, experts, noisy(kPerToken * tokens + kPerExpert * experts)});
    }
  }
  for (double bytes = 1e3; bytes <= 1e9; bytes *= 10) {
    for (int repeat = 0; repeat < 4; ++repeat)
      measurements.intra_node.push_back({bytes, noisy(bytes / kBytesPerSecond + kLatency)});
  }
  return measurements;
}

TEST(Calibration, finds_the_constants_that_measurements_are_made_from) {
  const auto calibration = calibrate(made_up(0), "m.csv");
  ASSERT_TRUE(calibration) << calibration.error().message;
  EXPECT_NEAR(calibration->compute->factors[0], kPerToken, 1e-9 * kPerToken);
  EXPECT_NEAR(calibration->compute->factors[1], kPerExpert, 1e-9 * kPerExpert);
  EXPECT_NEAR(1 / calibration->intra_node->factors[0], kBytesPerSecond, 1e-6 * kBytesPerSecond);
  EXPECT_NEAR(calibration->intra_node->factors[1], kLatency, 1e-6 * kLatency);
  EXPECT_NEAR(calibration->compute->r2, 1, 1e-12);
  EXPECT_LT(calibration->compute->largest_error_ratio, 1e-9);
  EXPECT_EQ(calibration->compute->rows, 18U);
  EXPECT_FALSE(calibration->inter_node);
  EXPECT_FALSE(calibration->other_seconds);
}

TEST(Calibration, finds_them_under_noise_of_five_percent) {
  const auto calibration = calibrate(made_up(0.05), "m.csv");
  ASSERT_TRUE(calibration) << calibration.error().message;
  EXPECT_NEAR(calibration->compute->factors[0], kPerToken, 0.03 * kPerToken);
  EXPECT_NEAR(calibration->compute->factors[1], kPerExpert, 0.03 * kPerExpert);
  EXPECT_NEAR(1 / calibration->intra_node->factors[0], kBytesPerSecond, 0.03 * kBytesPerSecond);
  EXPECT_NEAR(calibration->intra_node->factors[1], kLatency, 0.03 * kLatency);
  EXPECT_GT(calibration->compute->r2, 0.99);
  EXPECT_GT(calibration->compute->largest_error_ratio, 0.01);
  EXPECT_LT(calibration->compute->largest_error_ratio, 0.1);
}

TEST(Calibration, keeps_constants_from_falling_below_zero) {
  // Two experts take less than one: a would be negative.
  Measurements measurements;
  measurements.compute = {{100, 1, 100e-6}, {100, 2, 90e-6}, {200, 1, 210e-6}, {200, 2, 190e-6}};
  const auto calibration = calibrate(measurements, "m.csv");
  ASSERT_TRUE(calibration) << calibration.error().message;
  EXPECT_EQ(calibration->compute->factors[1], 0);
  EXPECT_NEAR(calibration->compute->factors[0], 1e-6, 0.1e-6);
}

TEST(Calibration, refuses_measurements_that_leave_a_constant_open) {
  const auto refused = [](const Measurements& measurements) {
    const auto calibration = calibrate(measurements, "m.csv");
    if (calibration) return std::string();
    EXPECT_EQ(calibration.error().code, ErrorCode::kInvalidInput);
    return calibration.error().message;
  };
  EXPECT_NE(refused({}).find("m.csv: it has no measurements"), std::string::npos);
  Measurements one;
  one.compute = {{100, 1, 1e-4}};
  EXPECT_NE(refused(one).find("leave their two constants open"), std::string::npos);
  Measurements of_one_ratio;
  of_one_ratio.compute = {{100, 1, 1e-4}, {200, 2, 2e-4}, {400, 4, 4e-4}};
  EXPECT_NE(refused(of_one_ratio).find("more and with fewer tokens an expert"), std::string::npos);
  Measurements without_experts;
  without_experts.compute = {{100, 0, 1e-4}, {200, 0, 2e-4}};
  EXPECT_NE(refused(without_experts).find("constants open"), std::string::npos);
  Measurements of_one_size;
  of_one_size.inter_node = {{1e6, 1e-4}, {1e6, 2e-4}};
  EXPECT_NE(refused(of_one_size).find("of different bytes"), std::string::npos);
  Measurements falling;
  falling.intra_node = {{1e3, 3e-6}, {1e6, 2e-6}};
  EXPECT_NE(refused(falling).find("do not grow with bytes"), std::string::npos);
}

TEST(Calibration, writes_what_a_cluster_file_takes) {
  Measurements measurements = made_up(0);
  measurements.inter_node = {{1e6, 30e-6}, {2e6, 50e-6}};
  measurements.other_seconds = {100e-6, 140e-6};
  const auto calibration = calibrate(measurements, "m.csv");
  ASSERT_TRUE(calibration) << calibration.error().message;
  const TemporaryFolder folder;
  const auto groups = read_cluster(folder.write("c.yaml", "gpus: 8\n" + calibration_yaml(constants_of(*calibration))));
  ASSERT_TRUE(groups) << groups.error().message;
  const Cluster& cluster = groups->front().cluster;
  EXPECT_NEAR(cluster.intra_node.bandwidth_gb_per_s, 380, 1e-3);
  EXPECT_NEAR(cluster.intra_node.latency.count(), 3.4, 1e-5);
  EXPECT_NEAR(cluster.inter_node.bandwidth_gb_per_s, 50, 1e-3);
  EXPECT_NEAR(cluster.inter_node.latency.count(), 10, 1e-3);
  EXPECT_NEAR(cluster.step_time.compute_per_token->count(), 0.09, 1e-6);
  EXPECT_NEAR(cluster.step_time.compute_per_expert->count(), 13, 1e-4);
  EXPECT_NEAR(cluster.step_time.other_per_layer.count(), 120, 1e-3);
}

TEST(MeasurementFile, reads_rows_of_each_kind) {
  const TemporaryFolder folder;
  const auto measurements = read_measurements(
      folder.write("m.csv",
                   "# measured on one node\nwhat,tokens,experts,bytes,seconds\ncompute, 4096, 8,, 4.7e-4\r\n"
                   "intra_node,,,1e6,6e-6\ninter_node,,,2e6,5e-5\nother,,,,1e-3\n"));
  ASSERT_TRUE(measurements) << measurements.error().message;
  ASSERT_EQ(measurements->compute.size(), 1U);
  EXPECT_EQ(measurements->compute[0].tokens, 4096);
  EXPECT_EQ(measurements->compute[0].experts, 8);
  EXPECT_EQ(measurements->compute[0].seconds, 4.7e-4);
  EXPECT_EQ(measurements->intra_node.at(0).bytes, 1e6);
  EXPECT_EQ(measurements->inter_node.at(0).seconds, 5e-5);
  EXPECT_EQ(measurements->other_seconds.at(0), 1e-3);
}

TEST(MeasurementFile, needs_no_columns_that_its_rows_leave_empty) {
  const TemporaryFolder folder;
  const auto measurements = read_measurements(folder.write("m.csv", "seconds,bytes,what\n1e-5,1000,intra_node\n"));
  ASSERT_TRUE(measurements) << measurements.error().message;
  EXPECT_EQ(measurements->intra_node.at(0).bytes, 1000);
}

TEST(MeasurementFile, refuses_what_is_none_in_a_line_that_names_the_place) {
  const TemporaryFolder folder;
  const std::string header = "what,tokens,experts,bytes,seconds\n";
  const std::pair<std::string, std::string> cases[] = {
      {"", "no header"},
      {"what,tokens\ncompute,1\n", "column 'seconds' is missing"},
      {"what,seconds,speed\nother,1,2\n", "'speed'"},
      {"what,seconds,seconds\nother,1,2\n", "'seconds'"},
      {header + "compute,1,2,3\n", "line 2 has fewer columns"},
      {header + "compute,1,2,,3,4\n", "line 2 has more columns"},
      {header + "other,,,,1\ncompute,many,8,,1\n", "line 3: tokens is 'many'"},
      {header + "compute,1,-8,,1\n", "experts is '-8'"},
      {header + "compute,1,,,1\n", "experts is ''"},
      {header + "compute,1,8,5,1\n", "bytes is '5'"},
      {header + "intra_node,1,,5,1\n", "tokens is '1'"},
      {header + "other,,,5,1\n", "bytes is '5'"},
      {header + "intra_node,,,5,0\n", "seconds is '0'"},
      {header + "intra_node,,,5,nan\n", "seconds is 'nan'"},
      {header + "intra_node,,,5,1e999\n", "seconds is '1e999'"},
      {header + "nvlink,,,5,1\n", "what is 'nvlink'; give compute, intra_node, inter_node or other"}};
  for (const auto& [text, expected] : cases) {
    const auto measurements = read_measurements(folder.write("m.csv", text));
    ASSERT_FALSE(measurements) << text;
    EXPECT_EQ(measurements.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(measurements.error().message.find("m.csv: "), std::string::npos);
    EXPECT_NE(measurements.error().message.find(expected), std::string::npos) << measurements.error().message;
    EXPECT_NE(measurements.error().message.find("give "), std::string::npos) << measurements.error().message;
  }
  EXPECT_FALSE(read_measurements(folder.path() / "absent.csv"));
  EXPECT_FALSE(read_measurements(folder.path()));
}

}  // namespace
}  // namespace evenkeel::calibrate_test
