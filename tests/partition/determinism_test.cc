// Equal arguments and work units give equal placements, whatever the threads.

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "partition/place.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"

namespace evenkeel::determinism_test {
namespace {

struct SolveCase {
  std::string name;
  testing::ProfileShape shape;
  Cluster cluster;
  Strategy strategy = Strategy::kEvenkeel;
  Objective objective{};
  std::size_t redundant = 0;
  bool has_paths = true;
};

std::ostream& operator<<(std::ostream& out, const SolveCase& solve_case) { return out << solve_case.name; }

RoutingProfile profile_of(const SolveCase& solve_case) {
  auto profile = testing::structured_profile(solve_case.shape, 11);
  if (!solve_case.has_paths) profile.paths = {};
  return profile;
}

PlaceOptions options_of(const SolveCase& solve_case, std::size_t threads) {
  PlaceOptions options;
  options.strategy = solve_case.strategy;
  options.problem.objective = solve_case.objective;
  options.problem.redundant = solve_case.redundant;
  options.effort.work_units = 3'000'000;
  options.effort.threads = threads;
  return options;
}

Placement solve(const SolveCase& solve_case, std::size_t threads) {
  auto solution = place(profile_of(solve_case), solve_case.cluster, options_of(solve_case, threads));
  EXPECT_TRUE(solution) << solution.error().message;
  return std::move(solution)->placement;
}

/// From 8 layers on the annealing of resident communication works on two ranges of them.
std::vector<SolveCase> solve_cases() {
  const testing::ProfileShape deep{9, 24, 2, 600};
  const Cluster one{.gpus = 4, .nodes = 1};
  const Cluster two{.gpus = 4, .nodes = 2};
  return {
      {"resident_on_one_node", deep, one},
      {"resident_on_two_nodes", deep, two},
      {"resident_of_few_layers", {4, 24, 2, 600}, two},
      {"resident_with_replicas", deep, two, Strategy::kEvenkeel, {}, 8},
      {"weighted_on_one_node", deep, one, Strategy::kEvenkeel, testing::weighted(0.25, 1.0)},
      {"weighted_with_replicas", deep, two, Strategy::kEvenkeel, testing::weighted(0.25, 1.0), 4},
      {"dispatch_on_two_nodes", deep, two, Strategy::kEvenkeel, testing::dispatch()},
      {"dispatch_with_replicas", deep, one, Strategy::kEvenkeel, testing::dispatch(), 8},
      {"loads_alone", deep, one, Strategy::kEvenkeel, {}, 0, false},
      {"loads_alone_with_replicas", deep, two, Strategy::kEvenkeel, {}, 8, false},
      {"metis_glpk", deep, two, Strategy::kMetisGlpk},
      {"metis_glpk_weighted", deep, one, Strategy::kMetisGlpk, testing::weighted(0.25, 1.0)},
      {"metis_glpk_with_replicas", deep, one, Strategy::kMetisGlpk, {}, 8},
      {"exact", {9, 6, 2, 300}, {.gpus = 2, .nodes = 1}},
  };
}

class Determinism : public ::testing::TestWithParam<SolveCase> {};

TEST_P(Determinism, gives_the_same_placement_on_one_thread_and_on_two_and_again) {
  const Placement first = solve(GetParam(), 1);
  for (int run = 0; run < 3; ++run) EXPECT_EQ(solve(GetParam(), 2), first) << "run " << run;
  EXPECT_EQ(solve(GetParam(), 1), first);
}

INSTANTIATE_TEST_SUITE_P(Place, Determinism, ::testing::ValuesIn(solve_cases()),
                         [](const auto& test) { return test.param.name; });

TEST(Solving, holds_while_others_solve_too) {
  for (const SolveCase& solve_case : {solve_cases()[0], solve_cases()[6], solve_cases()[10]}) {
    const Placement first = solve(solve_case, 1);
    std::vector<Placement> found(3, first);
    {
      std::vector<std::jthread> solvers;
      for (Placement& placement : found) solvers.emplace_back([&] { placement = solve(solve_case, 2); });
    }
    for (const Placement& placement : found) EXPECT_EQ(placement, first) << solve_case;
  }
}

TEST(Solving, leaves_the_seed_its_effect) {
  const SolveCase solve_case = solve_cases()[0];
  auto options = options_of(solve_case, 2);
  const auto first = place(profile_of(solve_case), solve_case.cluster, options);
  options.effort.seed = 2;
  EXPECT_NE(place(profile_of(solve_case), solve_case.cluster, options)->placement, first->placement);
}

}  // namespace
}  // namespace evenkeel::determinism_test
