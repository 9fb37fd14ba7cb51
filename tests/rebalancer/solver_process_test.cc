// The solver's child: what it answers, and what becomes of one that misbehaves.
#include "rebalancer/solver/solver_process.h"

#include <gtest/gtest.h>

#include <chrono>

#include "partition/cost/verify.h"
#include "partition/model/migration.h"

namespace evenkeel::rebalancer::solver_process_test {
namespace {

constexpr std::size_t kGpus = 4;

std::vector<std::string> rebalancer_child() { return {EVENKEEL_REBALANCER, kSolveArgument}; }
std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

PlanRequest request(std::size_t layers = 2, std::size_t experts = 16) {
  PlanRequest request;
  request.cluster.gpus = kGpus;
  Grid<std::uint64_t> load(layers, experts);
  for (std::size_t layer = 0; layer < layers; ++layer) {
    request.profile.shape.layer_ids.push_back(static_cast<int>(layer));
    for (std::size_t expert = 0; expert < experts; ++expert) load(layer, expert) = 1000 / (expert + 1);
  }
  request.profile.shape.experts = experts;
  request.profile.windows.push_back({Stage::kDecode, 0, load});
  const auto running = contiguous_placement(request.profile.shape.layer_ids, experts, 0, kGpus, 1);
  request.options.problem.replan = Replan{*running, layers * experts / 4};
  request.options.effort.time = std::chrono::milliseconds(100);
  return request;
}

/// A request in which nothing is as it is by default.
PlanRequest full_request() {
  using std::chrono::microseconds;
  PlanRequest full = request();
  full.cluster = {.gpus = kGpus,
                  .nodes = 2,
                  .intra_node = {900, microseconds(2)},
                  .inter_node = {100, microseconds(7)},
                  .speeds = {1, 1, 0.5, 1},
                  .slots = {4, 4, 2, 6},
                  .memory_gb = {80, 80, 40, 80},
                  .gpu_spec = {8, 4500, 2250, 0.6},
                  .step_time = {microseconds(1), microseconds(20), microseconds(300), 0.4}};
  full.profile.shape.hidden_layers = 3;
  full.profile.windows.push_back({Stage::kPrefill, 77, Grid<std::uint64_t>(2, 16, std::uint64_t{1} << 60)});
  full.profile.paths = {.top_k = 2,
                        .layer_of_round = {0, 1},
                        .experts = {1, 2, 3, 4, 5, kNoExpert, 7, 8, 9, 10, 11, 15},
                        .sequence_start = {0, 1, 3}};
  full.options.strategy = Strategy::kMoetunerStrong;
  ProblemOptions& problem = full.options.problem;
  problem.objective = {Comm::kDispatch, CommWeights{0.5, 2}};
  problem.redundant = 16;
  problem.split = ReplicaSplit::kUneven;
  problem.survive = 1;
  problem.groups = 4;
  problem.time_model = {4096, microseconds(1), microseconds(2), 3, 4, 5, 6, microseconds(7), 0.8};
  problem.load_slack_ratio = 0.1;
  problem.robust = Robust{0.75};
  full.options.effort = {std::chrono::seconds(3), 12'345, 6, 1};
  full.options.diagnostics = {{true, true, true, true}, false};
  return full;
}

std::string error_of(const Result<SolveAnswer>& answer) { return answer ? "" : answer.error().message; }

TEST(PlanRequestCodec, gives_back_what_it_took) {
  for (const PlanRequest& sent : {PlanRequest{}, request(), full_request()}) {
    const auto read = decode_request(encode(sent));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, sent);
  }
}

TEST(PlanRequestCodec, refuses_what_is_no_request) {
  const std::string whole = encode(full_request());
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode_request(whole.substr(0, size))) << size;
  for (const std::string bytes : {"x", "\x92\x01\x02"}) EXPECT_FALSE(decode_request(bytes));
  EXPECT_FALSE(decode_request(whole + "x"));
}

TEST(PlanRequestCodec, refuses_tables_of_another_shape) {
  PlanRequest loads = full_request();
  loads.profile.windows.back().load_tokens = Grid<std::uint64_t>(3, 16);
  EXPECT_FALSE(decode_request(encode(loads)));
  PlanRequest layers = full_request();
  layers.profile.paths.layer_of_round.back() = 2;
  EXPECT_FALSE(decode_request(encode(layers)));
  PlanRequest experts = full_request();
  experts.profile.paths.experts.back() = 16;
  EXPECT_FALSE(decode_request(encode(experts)));
  PlanRequest tokens = full_request();
  tokens.profile.paths.sequence_start.back() = 4;
  EXPECT_FALSE(decode_request(encode(tokens)));
}

TEST(SolverProcess, plans_within_the_budget_of_moves) {
  const PlanRequest sent = request();
  const auto answer = solve_in_child(rebalancer_child(), sent, {});
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(answer->placement) << answer->placement.error().message;
  const auto moves = migration(sent.options.problem.replan->running, *answer->placement);
  ASSERT_TRUE(moves);
  EXPECT_GT(moves->copies.size(), 0U);
  EXPECT_LE(moves->copies.size(), *sent.options.problem.replan->moves_max);
}

TEST(SolverProcess, plans_anew_without_a_running_placement) {
  PlanRequest sent = request();
  sent.options.problem.replan.reset();
  const auto answer = solve_in_child(rebalancer_child(), sent, {});
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(answer->placement) << answer->placement.error().message;
  EXPECT_TRUE(verify(*answer->placement, sent.profile, sent.cluster, sent.options.problem.redundant, {}, 0.0));
}

TEST(SolverProcess, hands_on_what_the_solver_says) {
  PlanRequest sent = request();
  sent.cluster.nodes = 3;
  const auto answer = solve_in_child(rebalancer_child(), sent, {});
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_FALSE(answer->placement);
  EXPECT_EQ(answer->placement.error().code, ErrorCode::kInfeasible);
}

TEST(SolverProcess, that_crashes_is_a_failure) {
  EXPECT_NE(error_of(solve_in_child(shell("kill -SEGV $$"), request(), {})).find("Segmentation fault"),
            std::string::npos);
  EXPECT_NE(error_of(solve_in_child(shell("cat > /dev/null; exit 3"), request(), {})).find("exit code 3"),
            std::string::npos);
  EXPECT_FALSE(solve_in_child({"/nonexistent/program"}, request(), {}));
}

TEST(SolverProcess, that_exceeds_its_memory_is_a_failure) {
  if (!kLimitsMemory) GTEST_SKIP() << "address space cannot be limited under a sanitizer";
  SolverLimits limits;
  limits.memory_bytes = std::uint64_t{24} << 20;
  const auto answer = solve_in_child(rebalancer_child(), request(58, 256), limits);
  EXPECT_FALSE(answer && answer->placement);
}

TEST(SolverProcess, that_takes_too_long_is_ended) {
  SolverLimits limits;
  limits.on_top = std::chrono::milliseconds(200);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_NE(error_of(solve_in_child(shell("exec sleep 60"), request(), limits)).find("ended after"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST(SolverProcess, that_answers_nonsense_or_without_end_is_a_failure) {
  EXPECT_FALSE(solve_in_child(shell("cat > /dev/null; echo nonsense"), request(), {}));
  EXPECT_NE(error_of(solve_in_child(shell("yes"), request(), {})).find("no end"), std::string::npos);
}

TEST(SolverProcess, ends_when_it_is_stopped) {
  const auto begin = std::chrono::steady_clock::now();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(error_of(solve_in_child(shell("sleep 60"), request(), {}, stop.get_token())), "the solver was stopped");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace evenkeel::rebalancer::solver_process_test
