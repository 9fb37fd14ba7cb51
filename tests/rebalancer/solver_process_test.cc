// The solver's child: what it answers, and what becomes of one that misbehaves.
#include "rebalancer/solver/solver_process.h"

#include <gtest/gtest.h>

#include <chrono>

#include "partition/cost/verify.h"
#include "partition/model/migration.h"

namespace evenkeel::rebalancer {
namespace {

constexpr std::size_t kGpus = 4;

std::vector<std::string> rebalancer_child() { return {EVENKEEL_REBALANCER, kSolveArgument}; }
std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

SolveJob job(std::size_t layers = 2, std::size_t experts = 16) {
  SolveJob job;
  job.cluster.gpus = kGpus;
  Grid<std::uint64_t> load(layers, experts);
  for (std::size_t layer = 0; layer < layers; ++layer) {
    job.profile.shape.layer_ids.push_back(static_cast<int>(layer));
    for (std::size_t expert = 0; expert < experts; ++expert) load(layer, expert) = 1000 / (expert + 1);
  }
  job.profile.shape.experts = experts;
  job.profile.windows.push_back({load, "decode"});
  job.running = *contiguous_placement(job.profile.shape.layer_ids, experts, 0, kGpus, 1);
  job.moves_max = layers * experts / 4;
  job.time = std::chrono::milliseconds(100);
  return job;
}

std::string error_of(const Result<SolveAnswer>& answer) { return answer ? "" : answer.error().message; }

TEST(SolveJobCodec, gives_back_what_it_took) {
  SolveJob sent = job();
  sent.cluster.speeds = {1, 1, 0.5, 1};
  sent.cluster.slots = {4, 4, 2, 6};
  sent.cluster.memory_gb = {80, 80, 40, 80};
  const auto read = decode_job(encode(sent));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->cluster.gpus, sent.cluster.gpus);
  EXPECT_EQ(read->cluster.intra_node, sent.cluster.intra_node);
  EXPECT_EQ(read->cluster.speeds, sent.cluster.speeds);
  EXPECT_EQ(read->cluster.slots, sent.cluster.slots);
  EXPECT_EQ(read->cluster.memory_gb, sent.cluster.memory_gb);
  EXPECT_EQ(read->profile.shape, sent.profile.shape);
  EXPECT_EQ(read->profile.windows.front().load_tokens, sent.profile.windows.front().load_tokens);
  EXPECT_EQ(read->running, sent.running);
  EXPECT_EQ(read->moves_max, sent.moves_max);
  EXPECT_EQ(read->time, sent.time);
  for (const std::string bytes : {"", "x", "\x92\x01\x02"}) EXPECT_FALSE(decode_job(bytes));
}

TEST(SolverProcess, plans_within_the_budget_of_moves) {
  const SolveJob sent = job();
  const auto answer = solve_in_child(rebalancer_child(), sent, {});
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(answer->placement) << answer->placement.error().message;
  const auto moves = migration(*sent.running, *answer->placement);
  ASSERT_TRUE(moves);
  EXPECT_GT(moves->copies.size(), 0U);
  EXPECT_LE(moves->copies.size(), sent.moves_max);
}

TEST(SolverProcess, plans_anew_without_a_running_placement) {
  SolveJob sent = job();
  sent.running.reset();
  const auto answer = solve_in_child(rebalancer_child(), sent, {});
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(answer->placement) << answer->placement.error().message;
  EXPECT_TRUE(verify(*answer->placement, sent.profile, sent.cluster, sent.redundant, {}, 0.0));
}

TEST(SolverProcess, hands_on_what_the_solver_says) {
  SolveJob sent = job();
  sent.cluster.nodes = 3;
  const auto answer = solve_in_child(rebalancer_child(), sent, {});
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_FALSE(answer->placement);
  EXPECT_EQ(answer->placement.error().code, ErrorCode::kInfeasible);
}

TEST(SolverProcess, that_crashes_is_a_failure) {
  EXPECT_NE(error_of(solve_in_child(shell("kill -SEGV $$"), job(), {})).find("Segmentation fault"), std::string::npos);
  EXPECT_NE(error_of(solve_in_child(shell("cat > /dev/null; exit 3"), job(), {})).find("exit code 3"),
            std::string::npos);
  EXPECT_FALSE(solve_in_child({"/nonexistent/program"}, job(), {}));
}

TEST(SolverProcess, that_exceeds_its_memory_is_a_failure) {
  if (!kLimitsMemory) GTEST_SKIP() << "address space cannot be limited under a sanitizer";
  SolverLimits limits;
  limits.memory_bytes = std::uint64_t{24} << 20;
  const auto answer = solve_in_child(rebalancer_child(), job(58, 256), limits);
  EXPECT_FALSE(answer && answer->placement);
}

TEST(SolverProcess, that_takes_too_long_is_ended) {
  SolverLimits limits;
  limits.on_top = std::chrono::milliseconds(200);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_NE(error_of(solve_in_child(shell("exec sleep 60"), job(), limits)).find("ended after"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST(SolverProcess, that_answers_nonsense_or_without_end_is_a_failure) {
  EXPECT_FALSE(solve_in_child(shell("cat > /dev/null; echo nonsense"), job(), {}));
  EXPECT_NE(error_of(solve_in_child(shell("yes"), job(), {})).find("no end"), std::string::npos);
}

TEST(SolverProcess, ends_when_it_is_stopped) {
  const auto begin = std::chrono::steady_clock::now();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(error_of(solve_in_child(shell("sleep 60"), job(), {}, stop.get_token())), "the solver was stopped");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace evenkeel::rebalancer
