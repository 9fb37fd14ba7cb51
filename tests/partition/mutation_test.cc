// Placements that the solver made, broken as a faulty stage would break them: each break must be caught.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/cost/verify.h"
#include "partition/place.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"

namespace evenkeel::mutation_test {
namespace {

struct Solved {
  std::string name;
  RoutingProfile profile;
  Cluster cluster;
  std::size_t redundant;
  Comm comm;
  double slack_ratio;

  [[nodiscard]] Solution solution() const {
    PlaceOptions options;
    options.problem.objective.comm = comm;
    options.problem.redundant = redundant;
    options.problem.load_slack_ratio = slack_ratio;
    options.effort.work_units = 500'000;
    return *place(profile, cluster, options);
  }
  [[nodiscard]] Status check(const Placement& placement, const std::vector<double>& z_star) const {
    return verify(placement, profile, cluster, redundant, z_star, slack_ratio);
  }
};

std::ostream& operator<<(std::ostream& out, const Solved& solved) { return out << solved.name; }

std::vector<Solved> solved_cases() {
  const auto profile = testing::structured_profile({4, 24, 2, 1000}, 1);
  return {{"exact", testing::structured_profile({4, 6, 2, 500}, 1), {.gpus = 2, .nodes = 1}, 0, Comm::kResident, 0.02},
          {"resident", profile, {.gpus = 4, .nodes = 2}, 0, Comm::kResident, 0.02},
          {"dispatch", profile, {.gpus = 4, .nodes = 2}, 0, Comm::kDispatch, 0.0},
          {"replicated", profile, {.gpus = 4, .nodes = 1}, 8, Comm::kResident, 0.05}};
}

/// Calls mutate(fields, layer) for a copy of the solved fields and each layer, and expects that nobody takes the
/// result: neither Placement::create() nor the verifier. A mutation that does not apply to a layer returns false.
template <class Mutate>
int expect_refused(const Solved& solved, std::string_view what, Mutate&& mutate) {
  const Solution solution = solved.solution();
  EXPECT_TRUE(solved.check(solution.placement, solution.certificate.z_star));
  int applied = 0;
  for (std::size_t layer = 0; layer < solution.placement.layers(); ++layer) {
    Placement::Fields fields = solution.placement.fields();
    if (!mutate(fields, layer)) continue;
    ++applied;
    const auto placement = Placement::create(std::move(fields));
    const auto status =
        placement ? solved.check(*placement, solution.certificate.z_star) : Status(tl::unexpected(placement.error()));
    EXPECT_TRUE(!status && status.error().message.find("layer " + std::to_string(layer)) != std::string::npos)
        << what << " in layer " << layer;
  }
  return applied;
}

/// Load in tokens of each GPU of a layer.
std::vector<double> gpu_loads(const Solved& solved, const Placement::Fields& fields, std::size_t layer) {
  std::vector<double> load(solved.cluster.gpus, 0.0);
  const auto row = fields.expert_of_slot[layer];
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    load[slot * load.size() / row.size()] +=
        static_cast<double>(solved.profile.windows.front().load_tokens(layer, row[slot])) /
        static_cast<double>(std::ranges::count(row, row[slot]));
  }
  return load;
}

class Mutation : public ::testing::TestWithParam<Solved> {};

TEST_P(Mutation, of_an_expert_dropped_for_another_is_refused) {
  EXPECT_EQ(expect_refused(GetParam(), "an expert less",
                           [](Placement::Fields& fields, std::size_t layer) {
                             const auto row = fields.expert_of_slot[layer];
                             const ExpertIndex dropped = row.front();
                             const ExpertIndex other = row.back();
                             std::ranges::replace(row, dropped, other);
                             return dropped != other;
                           }),
            4);
}

TEST_P(Mutation, of_a_copy_doubled_on_a_gpu_is_refused) {
  const int applied = expect_refused(GetParam(), "a copy doubled", [&](Placement::Fields& fields, std::size_t layer) {
    // A copy changes places with an item of a GPU that holds another copy.
    const auto row = fields.expert_of_slot[layer];
    const std::size_t slots = row.size() / GetParam().cluster.gpus;
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      for (std::size_t copy = slot + 1; copy < row.size(); ++copy) {
        if (row[copy] != row[slot]) continue;
        const std::size_t beside = slot % slots == 0 ? slot + 1 : slot - 1;
        std::swap(row[copy], row[beside]);
        return true;
      }
    }
    return false;
  });
  EXPECT_EQ(applied, GetParam().redundant > 0 ? 4 : 0);
}

TEST_P(Mutation, of_two_experts_swapped_past_the_cap_is_refused) {
  const Solved& solved = GetParam();
  const auto z_star = solved.solution().certificate.z_star;
  const int applied = expect_refused(solved, "a cap broken", [&](Placement::Fields& fields, std::size_t layer) {
    const auto row = fields.expert_of_slot[layer];
    for (std::size_t i = 0; i < row.size(); ++i) {
      for (std::size_t j = 0; j < row.size(); ++j) {
        std::swap(row[i], row[j]);
        const auto load = gpu_loads(solved, fields, layer);
        const double mean = std::accumulate(load.begin(), load.end(), 0.0) / static_cast<double>(load.size());
        // By a token at least: less is rounding.
        if (std::ranges::max(load) > (1 + solved.slack_ratio) * z_star[layer] * mean + 1.0) return true;
        std::swap(row[i], row[j]);
      }
    }
    return false;
  });
  EXPECT_EQ(applied, 4);
}

TEST_P(Mutation, of_slot_counts_is_refused) {
  const Solved& solved = GetParam();
  const Solution solution = solved.solution();
  Placement::Fields fields = solution.placement.fields();
  ++fields.slots_of_gpu.front();
  --fields.slots_of_gpu.back();
  const auto uneven = Placement::create(std::move(fields));
  ASSERT_TRUE(uneven);
  EXPECT_FALSE(solved.check(*uneven, {}));

  fields = solution.placement.fields();
  fields.nodes = solved.cluster.nodes == 1 ? 2 : 1;
  EXPECT_FALSE(solved.check(*Placement::create(std::move(fields)), {}));
  EXPECT_FALSE(verify(solution.placement, solved.profile, solved.cluster, solved.redundant + 4, {}, 0.0));
}

TEST_P(Mutation, of_shares_is_refused) {
  const Solved& solved = GetParam();
  Placement::Fields fields = solved.solution().placement.fields();
  fields.shares = Grid<double>(fields.expert_of_slot.rows(), fields.expert_of_slot.cols(), 1.0);
  // Served once each, where replicated experts would be served more than once.
  const auto placement = Placement::create(fields);
  EXPECT_EQ(placement && solved.check(*placement, {}), solved.redundant == 0);
  (*fields.shares)(1, 0) = 0.9;
  const auto less = Placement::create(fields);
  EXPECT_FALSE(less && solved.check(*less, {}));
}

TEST_P(Mutation, of_a_layers_best_load_is_refused) {
  const Solved& solved = GetParam();
  const Solution solution = solved.solution();
  for (std::size_t layer = 0; layer < solution.placement.layers(); ++layer) {
    auto z_star = solution.certificate.z_star;
    const auto load = gpu_loads(solved, solution.placement.fields(), layer);
    const double mean = std::accumulate(load.begin(), load.end(), 0.0) / static_cast<double>(load.size());
    // A tenth of a percent below what the placement needs.
    z_star[layer] = 0.999 * std::ranges::max(load) / mean / (1 + solved.slack_ratio);
    const auto status = solved.check(solution.placement, z_star);
    ASSERT_FALSE(status) << "layer " << layer;
    EXPECT_NE(status.error().message.find("layer " + std::to_string(layer)), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Solved, Mutation, ::testing::ValuesIn(solved_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace evenkeel::mutation_test
