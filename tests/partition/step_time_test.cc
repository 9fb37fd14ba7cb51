#include "partition/cost/step_time.h"

#include <gtest/gtest.h>

#include "partition/cost/metrics.h"
#include "partition/cost/model_step_time.h"
#include "partition/cost/step_time_bound.h"
#include "partition/place.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::step_time_test {
namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

/// Four experts, two on each of two GPUs, one layer.
Placement two_by_two() { return *contiguous_placement({0}, 4, 0, 2, 1); }

RoutingProfile loads(std::vector<std::uint64_t> tokens) {
  RoutingProfile profile;
  profile.shape = {{0}, tokens.size(), std::nullopt};
  Grid<std::uint64_t> load(1, tokens.size());
  std::ranges::copy(tokens, load[0].begin());
  profile.windows = {{.load_tokens = std::move(load)}};
  return profile;
}

/// Eight tokens of one expert each, so that with loads of 8 in all a token is one of the step.
StepTimeModel plain_model(double per_token_us, double per_expert_us) {
  StepTimeModel model;
  model.batch_tokens = 8;
  model.experts_per_token = 1;
  model.compute_per_token = Microseconds(per_token_us);
  model.compute_per_expert = Microseconds(per_expert_us);
  return model;
}

double microseconds(std::chrono::duration<double> time) { return Microseconds(time).count(); }

/// One token a step that goes from its home, any GPU with equal chance, to one expert of `gpu` in each of two layers;
/// no computing.
RoutingProfile one_token_to(std::size_t gpu, std::size_t gpus) {
  RoutingProfile profile;
  profile.shape = {{0, 1}, gpus, std::nullopt};
  const auto expert = static_cast<ExpertIndex>(gpu);
  profile.paths = {1, {0, 1}, {expert, expert}, {0, 1}};
  Grid<std::uint64_t> load(2, gpus);
  load(0, gpu) = load(1, gpu) = 1;
  profile.windows = {{.load_tokens = std::move(load)}};
  return profile;
}

/// Bytes of a token are 1e6 there and 2e6 back; links of 100 and 10 GB/s, so 10 and 100 us for 1e6 bytes.
StepTimeModel bytes_alone() {
  StepTimeModel model = plain_model(0, 0);
  model.batch_tokens = 1;
  model.dispatch_bytes = 1e6;
  model.combine_bytes = 2e6;
  return model;
}

Cluster linked(std::size_t gpus, std::size_t nodes) {
  Cluster cluster{.gpus = gpus, .nodes = nodes};
  cluster.intra_node = {100, Microseconds(3)};
  cluster.inter_node = {10, Microseconds(7)};
  return cluster;
}

double step_us(const RoutingProfile& profile, const Cluster& cluster, const StepTimeModel& model, Comm comm) {
  const auto placement =
      *contiguous_placement(profile.shape.layer_ids, profile.shape.experts, 0, cluster.gpus, cluster.nodes);
  return measure(profile, placement, cluster, model, comm)->step_time_seconds * 1e6;
}

TEST(StepTime, counts_c_for_each_token_of_the_busiest_gpu) {
  const auto time = step_time(loads({1, 2, 2, 3}), two_by_two(), {.gpus = 2, .nodes = 1}, plain_model(2, 0), {});
  EXPECT_DOUBLE_EQ(microseconds(time), 2 * (2 + 3));
}

TEST(StepTime, counts_a_for_each_expert_that_any_token_reaches) {
  // Chances 1/2 and 1/2 of 8 tokens on GPU 0; none on GPU 1.
  const auto time = step_time(loads({4, 4, 0, 0}), two_by_two(), {.gpus = 2, .nodes = 1}, plain_model(0, 5), {});
  EXPECT_DOUBLE_EQ(microseconds(time), 2 * 5 * (1 - 1.0 / 256));
}

TEST(StepTime, divides_computing_by_the_speed_of_the_gpu) {
  Cluster cluster{.gpus = 2, .nodes = 1};
  cluster.speeds = {0.5, 2};
  const auto time = step_time(loads({1, 2, 2, 3}), two_by_two(), cluster, plain_model(2, 0), {});
  EXPECT_DOUBLE_EQ(microseconds(time), 2 * (1 + 2) / 0.5);
}

TEST(StepTime, of_equal_loads_without_communication_is_exactly_the_analytic_value) {
  // B k / G tokens of c and E / G experts of a in each of three layers; every expert is touched for sure at chance 1.
  StepTimeModel model = plain_model(0.25, 13);
  model.batch_tokens = 1024;
  model.experts_per_token = 8;
  RoutingProfile profile;
  profile.shape = {{0, 1, 2}, 8, std::nullopt};
  profile.windows = {{.load_tokens = Grid<std::uint64_t>(3, 8, 1000)}};
  const auto placement = *contiguous_placement({0, 1, 2}, 8, 0, 4, 2);
  const auto time = step_time(profile, placement, {.gpus = 4, .nodes = 2}, model, {});
  EXPECT_EQ(microseconds(time), 3 * (0.25 * 1024 * 8 / 4 + 13.0 * 8 / 4));
}

TEST(StepTime, of_a_transfer_inside_a_node_is_bytes_over_bandwidth_and_latency) {
  // Both layers, where home is GPU 0: there 1e6 bytes and back 2e6; what comes back is the most, half of 20 us.
  EXPECT_NEAR(step_us(one_token_to(1, 2), linked(2, 1), bytes_alone(), Comm::kDispatch), 2 * (10 + 3), 1e-9);
}

TEST(StepTime, of_a_transfer_between_nodes_has_that_tiers_bandwidth_and_latency) {
  EXPECT_NEAR(step_us(one_token_to(1, 2), linked(2, 2), bytes_alone(), Comm::kDispatch), 2 * (100 + 7), 1e-9);
}

TEST(StepTime, takes_the_slower_tier_of_what_passes_a_gate) {
  // From GPU 0 a token reaches GPU 3 over GPU 2, its rank there; from GPU 1 at once. A quarter of 2e6 bytes come back
  // over the network to each, and twice that leaves GPU 3 inside its node, for GPUs 0 and 2.
  EXPECT_NEAR(step_us(one_token_to(3, 4), linked(4, 2), bytes_alone(), Comm::kDispatch), 2 * (50 + 7), 1e-9);
  const LayerTraffic traffic{.intra_node_bytes = 50e6, .inter_node_bytes = 1e6, .busiest_gpu_bytes = 51e6};
  EXPECT_NEAR(microseconds(transfer_time(traffic, linked(4, 2))), 500 + 7, 1e-9);
}

TEST(StepTime, of_resident_tokens_pays_the_way_there_once) {
  // From GPU 0 1e6 bytes to GPU 1, whose experts it needs in both layers; nothing comes back, and then nothing moves.
  EXPECT_NEAR(step_us(one_token_to(1, 2), linked(2, 1), bytes_alone(), Comm::kResident), 5 + 3, 1e-9);
}

TEST(StepTime, has_no_latency_where_nothing_is_sent) {
  EXPECT_EQ(step_us(one_token_to(0, 1), linked(1, 1), bytes_alone(), Comm::kDispatch), 0);
}

TEST(StepTime, adds_what_is_beside_the_experts_once_a_layer_with_load) {
  StepTimeModel model = bytes_alone();
  model.other_per_layer = Microseconds(40);
  EXPECT_NEAR(step_us(one_token_to(0, 1), linked(1, 1), model, Comm::kDispatch), 2 * 40, 1e-9);
  auto profile = one_token_to(0, 1);
  profile.windows.front().load_tokens(1, 0) = 0;
  profile.paths.layer_of_round = {0};
  profile.paths.experts = {0};
  EXPECT_NEAR(step_us(profile, linked(1, 1), model, Comm::kDispatch), 40, 1e-9);
}

TEST(StepTime, overlaps_computing_and_communication_by_the_share_given) {
  // Each layer computes 8 us and sends 13 us.
  StepTimeModel model = bytes_alone();
  model.compute_per_token = Microseconds(8);
  const auto at = [&](double overlap_ratio) {
    model.overlap_ratio = overlap_ratio;
    return step_us(one_token_to(1, 2), linked(2, 1), model, Comm::kDispatch);
  };
  EXPECT_NEAR(at(0), 2 * (13 + 8), 1e-9);
  EXPECT_NEAR(at(0.5), 2 * (13 + 4), 1e-9);
  EXPECT_NEAR(at(1), 2 * 13, 1e-9);
  model.compute_per_token = Microseconds(50);
  EXPECT_NEAR(at(1), 2 * 50, 1e-9);
}

TEST(StepTime, takes_paths_for_a_sample_of_the_tokens_that_loads_are_of) {
  const RoutingProfile whole = testing::structured_profile({2, 8, 2, 100}, 1);
  RoutingProfile sampled = whole;
  for (std::uint64_t& tokens : sampled.windows[0].load_tokens.cells()) tokens *= 8;
  const auto placement = contiguous_placement({0, 1}, 8, 0, 2, 1);
  const Cluster cluster{.gpus = 2, .nodes = 1};
  EXPECT_DOUBLE_EQ(step_time(sampled, *placement, cluster, {}, {}).count(),
                   step_time(whole, *placement, cluster, {}, {}).count());
}

TEST(StepTimeBound, holds_with_what_is_beside_the_experts_and_with_overlap) {
  const auto profile = testing::structured_profile({4, 16, 2, 400}, 3);
  StepTimeModel model;
  model.experts_per_token = 2;
  model.overlap_ratio = 1;
  const Cluster cluster{.gpus = 4, .nodes = 1};
  auto without = profile;
  without.paths = {};
  const auto bound_of_experts = step_time_bound(profile, 4, 0, model);
  model.other_per_layer = Microseconds(100);
  const auto bound = step_time_bound(profile, 4, 0, model);
  EXPECT_NEAR(microseconds(bound - bound_of_experts), 4 * 100, 1e-9);
  for (const Strategy strategy : {Strategy::kContiguous, Strategy::kLpt, Strategy::kEvenkeel}) {
    PlaceOptions options;
    options.strategy = strategy;
    options.effort.work_units = 10'000;
    const auto solution = place(profile, cluster, options);
    ASSERT_TRUE(solution);
    for (const bool has_paths : {false, true}) {
      const auto metrics = measure(has_paths ? profile : without, solution->placement, cluster, model, Comm::kResident);
      EXPECT_GE(metrics->step_time_seconds, bound.count());
    }
  }
}

TEST(StepTimeBound, of_unequal_gpus_includes_what_is_beside_the_experts) {
  auto profile = testing::structured_profile({4, 16, 2, 400}, 3);
  profile.paths = {};
  Cluster cluster{.gpus = 4, .nodes = 1};
  cluster.speeds = {1, 1, 1, 0.5};
  PlaceOptions options;
  options.effort.work_units = 20'000;
  options.problem.time_model = StepTimeModel{.batch_tokens = 64, .experts_per_token = 2};
  const auto plain = place(profile, cluster, options);
  options.problem.time_model->other_per_layer = Microseconds(1000);
  const auto with_other = place(profile, cluster, options);
  ASSERT_TRUE(plain && with_other);
  const auto bound = *with_other->certificate.step_time_bound;
  EXPECT_NEAR(microseconds(bound - *plain->certificate.step_time_bound), 4 * 1000, 1e-6);
  const auto metrics =
      measure(profile, with_other->placement, cluster, *options.problem.time_model, options.problem.objective.comm);
  EXPECT_GE(metrics->step_time_seconds, bound.count() * (1 - 1e-9));
}

TEST(StepTimeModelOf, reckons_c_and_a_from_model_and_gpu) {
  ModelSpec model;
  model.hidden_size = 1000;
  model.moe_intermediate_size = 2000;
  model.expert_bytes = 6e6;
  Cluster cluster;
  cluster.gpu_spec = {.memory_tb_per_s = 2, .fp8_tflop_per_s = 1000, .bf16_tflop_per_s = 500, .reached_ratio = 0.6};
  model.weight_precision = WeightPrecision::kFp8;
  // 12 Mflop at 600 TFLOP/s; 6 MB at 2 TB/s.
  EXPECT_DOUBLE_EQ(step_time_model(model, cluster).compute_per_token.count(), 0.02);
  EXPECT_DOUBLE_EQ(step_time_model(model, cluster).compute_per_expert.count(), 3);
  model.weight_precision = WeightPrecision::kBf16;
  EXPECT_DOUBLE_EQ(step_time_model(model, cluster).compute_per_token.count(), 0.04);
}

TEST(StepTimeModelOf, takes_what_the_cluster_sets) {
  Cluster cluster;
  cluster.step_time = {Microseconds(1), Microseconds(2), Microseconds(3), 0.25};
  for (const auto& model : {std::optional<ModelSpec>(), std::optional(ModelSpec{})}) {
    const StepTimeModel step_time = step_time_model(model, cluster);
    EXPECT_EQ(step_time.compute_per_token, Microseconds(1));
    EXPECT_EQ(step_time.compute_per_expert, Microseconds(2));
    EXPECT_EQ(step_time.other_per_layer, Microseconds(3));
    EXPECT_EQ(step_time.overlap_ratio, 0.25);
  }
}

TEST(StepTimeModelOf, an_unknown_model_has_the_defaults_scaled_to_the_gpu) {
  const StepTimeModel defaults;
  Cluster cluster;
  EXPECT_EQ(step_time_model(std::nullopt, cluster).compute_per_token, defaults.compute_per_token);
  EXPECT_EQ(step_time_model(std::nullopt, cluster).compute_per_expert, defaults.compute_per_expert);
  cluster.gpu_spec.memory_tb_per_s *= 2;
  cluster.gpu_spec.reached_ratio = 0.25;
  EXPECT_DOUBLE_EQ(step_time_model(std::nullopt, cluster).compute_per_token.count(),
                   defaults.compute_per_token.count() * 2);
  EXPECT_DOUBLE_EQ(step_time_model(std::nullopt, cluster).compute_per_expert.count(),
                   defaults.compute_per_expert.count() / 2);
}

TEST(StepTime, is_that_computed_by_hand) {
  // One token with both experts on GPU 1, at home on either GPU, batch of one token.
  RoutingProfile profile;
  profile.shape = {{0}, 4, std::nullopt};
  profile.paths = {2, {0}, {2, 3}, {0, 1}};
  Grid<std::uint64_t> load(1, 4);
  load(0, 2) = load(0, 3) = 1;
  profile.windows = {{.load_tokens = load}};
  const auto placement = contiguous_placement({0}, 4, 0, 2, 1);
  StepTimeModel model;
  model.batch_tokens = 1;
  const Cluster cluster{.gpus = 2, .nodes = 1};
  const auto traffic = layer_traffic(profile, *placement, cluster, model, Comm::kDispatch);
  ASSERT_EQ(traffic.size(), 1U);
  EXPECT_DOUBLE_EQ(traffic[0].intra_node_bytes, 7168);
  EXPECT_DOUBLE_EQ(traffic[0].inter_node_bytes, 0);
  const double expected = 2 * 0.09e-6 + 2 * 13e-6 + 7168 / 450e9 + 3e-6;
  EXPECT_NEAR(step_time(profile, *placement, cluster, model, traffic).count(), expected, 1e-15);
}

TEST(StepTime, counts_every_round_over_a_layer) {
  auto profile = testing::structured_profile({2, 8, 2, 100}, 1);
  const Cluster cluster{.gpus = 2, .nodes = 1};
  // The same routing in both rounds, once as two layers and once as two rounds over one.
  for (std::size_t token = 0; token < 100; ++token) {
    for (std::size_t choice = 0; choice < 2; ++choice) {
      profile.paths.experts[token * 4 + 2 + choice] = profile.paths.experts[token * 4 + choice];
    }
  }
  Grid<std::uint64_t> once(1, 8);
  for (std::size_t i = 0; i < profile.paths.experts.size(); i += 4) {
    ++once(0, profile.paths.experts[i]);
    ++once(0, profile.paths.experts[i + 1]);
  }
  auto rounds = profile;
  rounds.shape.layer_ids = {0};
  rounds.paths.layer_of_round = {0, 0};
  rounds.windows = {{.load_tokens = once}, {.load_tokens = once}};
  Grid<std::uint64_t> both(2, 8);
  std::ranges::copy(once[0], both[0].begin());
  std::ranges::copy(once[0], both[1].begin());
  profile.windows = {{.load_tokens = both}};
  const auto as_layers = step_time(profile, *contiguous_placement({0, 1}, 8, 0, 2, 1), cluster, {}, {});
  const auto as_rounds = step_time(rounds, *contiguous_placement({0}, 8, 0, 2, 1), cluster, {}, {});
  EXPECT_NEAR(as_layers.count(), as_rounds.count(), 1e-12);
}

TEST(StepTime, of_resident_tokens_follows_them_from_layer_to_layer) {
  // Experts of GPU 1 in both layers: dispatched there once from GPU 0 if it began there, then at home.
  RoutingProfile profile;
  profile.shape = {{0, 1}, 2, std::nullopt};
  profile.paths = {1, {0, 1}, {1, 1}, {0, 1}};
  profile.windows = {{.load_tokens = Grid<std::uint64_t>(2, 2, 1)}};
  const auto placement = contiguous_placement({0, 1}, 2, 0, 2, 1);
  StepTimeModel model;
  model.batch_tokens = 1;
  const auto resident = layer_traffic(profile, *placement, {.gpus = 2, .nodes = 1}, model, Comm::kResident);
  EXPECT_DOUBLE_EQ(resident[0].busiest_gpu_bytes, 3584);
  EXPECT_DOUBLE_EQ(resident[1].busiest_gpu_bytes, 0);
  const auto dispatch = layer_traffic(profile, *placement, {.gpus = 2, .nodes = 1}, model, Comm::kDispatch);
  EXPECT_DOUBLE_EQ(dispatch[1].busiest_gpu_bytes, 7168);
}

}  // namespace
}  // namespace evenkeel::step_time_test
