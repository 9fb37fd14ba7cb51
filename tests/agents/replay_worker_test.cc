#include "agents/agent/replay_worker.h"

#include <gtest/gtest.h>

#include <numeric>

namespace evenkeel::agent {
namespace {

using std::chrono::milliseconds;

const TimePoint kStart{};

/// Four sequences of 1, 2, 3 and 4 tokens; token t goes to experts t mod 4 and none in its one layer.
Trace sample_trace() {
  Trace trace;
  trace.shape = {.layer_ids = {0}, .experts = 4, .hidden_layers = std::nullopt};
  trace.paths.top_k = 2;
  trace.paths.layer_of_round = {0};
  for (ExpertIndex token = 0; token < 10; ++token) {
    trace.paths.experts.push_back(static_cast<ExpertIndex>(token % 4));
    trace.paths.experts.push_back(kNoExpert);
  }
  trace.paths.sequence_start = {0, 1, 3, 6, 10};
  return trace;
}

ReplayOptions rank(std::uint32_t rank, std::uint64_t passes) {
  return {.rank = rank, .world = 2, .tokens_per_second = 1'000, .passes = passes};
}

TEST(ReplayWorker, shares_the_trace_among_ranks_without_loss_or_overlap) {
  Grid<std::uint64_t> total(1, 4);
  for (const std::uint32_t r : {0U, 1U}) {
    auto worker = ReplayWorker::create(sample_trace(), rank(r, 1), kStart);
    ASSERT_TRUE(worker);
    worker->advance(kStart + std::chrono::seconds(1));
    EXPECT_EQ(worker->counts().tokens, r == 0 ? 4U : 6U);
    for (std::size_t e = 0; e < 4; ++e) total(0, e) += worker->counts().load_tokens(0, e);
  }
  EXPECT_EQ(total.cells()[0], 3U);
  EXPECT_EQ(std::accumulate(total.cells().begin(), total.cells().end(), std::uint64_t{0}), 10U);
}

TEST(ReplayWorker, keeps_its_pace_and_starts_the_trace_again) {
  auto worker = ReplayWorker::create(sample_trace(), rank(0, 0), kStart);
  ASSERT_TRUE(worker);
  worker->advance(kStart + milliseconds(2));
  EXPECT_EQ(worker->counts().tokens, 2U);
  worker->advance(kStart + milliseconds(40));
  EXPECT_EQ(worker->counts().tokens, 40U);
}

TEST(ReplayWorker, tells_a_load_once_when_its_time_is_over) {
  ReplayOptions options = rank(0, 0);
  options.load_time = milliseconds(100);
  auto worker = ReplayWorker::create(sample_trace(), options, kStart);
  ASSERT_TRUE(worker);
  worker->load({1, 1}, kStart);
  EXPECT_FALSE(worker->take_loaded(kStart + milliseconds(99)));
  EXPECT_EQ(worker->take_loaded(kStart + milliseconds(100)), (wire::Stamp{1, 1}));
  EXPECT_FALSE(worker->take_loaded(kStart + milliseconds(101)));
  worker->load({1, 2}, kStart);
  worker->discard({1, 2});
  EXPECT_FALSE(worker->take_loaded(kStart + milliseconds(200)));
}

TEST(ReplayWorker, refuses_a_rank_without_a_sequence) {
  ReplayOptions options = rank(5, 0);
  options.world = 6;
  EXPECT_FALSE(ReplayWorker::create(sample_trace(), options, kStart));
}

}  // namespace
}  // namespace evenkeel::agent
