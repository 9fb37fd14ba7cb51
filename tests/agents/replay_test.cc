#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "agents/replay/epoch_loader.h"
#include "agents/replay/rendezvous.h"
#include "agents/replay/weights.h"
#include "agents/replay/window_plan.h"
#include "tests/agents/wire_samples.h"

namespace evenkeel::replay::replay_test {
namespace {

using std::chrono::milliseconds;

std::string unique_name(const std::string& what) { return "test-" + what + "-" + std::to_string(getpid()); }

/// Four sequences of 1, 2, 3 and 4 tokens; token t goes to experts t mod 4 and none in its one layer, over two rounds.
Trace sample_trace() {
  Trace trace;
  trace.shape = {.layer_ids = {0}, .experts = 4, .hidden_layers = std::nullopt};
  trace.paths.top_k = 1;
  trace.paths.layer_of_round = {0, 0};
  for (ExpertIndex token = 0; token < 10; ++token) {
    trace.paths.experts.push_back(static_cast<ExpertIndex>(token % 4));
    trace.paths.experts.push_back(kNoExpert);
  }
  trace.paths.sequence_start = {0, 1, 3, 6, 10};
  return trace;
}

TEST(WindowPlan, gives_every_sequence_to_one_rank_in_its_window) {
  Trace trace = sample_trace();
  trace.window_of_sequence = {0, 0, 1, 2};
  const auto even = plan_windows(trace, 0, 2);
  const auto odd = plan_windows(trace, 1, 2);
  ASSERT_TRUE(even && odd);
  EXPECT_TRUE(even->is_tagged);
  using Sequences = std::vector<std::vector<std::size_t>>;
  EXPECT_EQ(even->sequences, (Sequences{{0}, {2}, {}}));
  EXPECT_EQ(odd->sequences, (Sequences{{1}, {}, {3}}));
  trace.window_of_sequence.clear();
  EXPECT_FALSE(plan_windows(trace, 0, 2)->is_tagged);
  EXPECT_FALSE(plan_windows(trace, 5, 6)) << "a rank without a sequence";
}

TEST(Choices, puts_the_rounds_of_a_layer_side_by_side) {
  const Trace trace = sample_trace();
  Choices choices(trace);
  EXPECT_EQ(choices.top_k(), 2U);
  const auto ids = choices.of(0, 6, 2);
  EXPECT_EQ(std::vector(ids.begin(), ids.end()), (std::vector<std::int32_t>{2, -1, 3, -1}));
}

class RendezvousTest : public ::testing::Test {
 protected:
  Rendezvous join(std::uint32_t rank, std::uint32_t world = 2) {
    auto group = Rendezvous::join(unique_name("group"), rank, world, "probe-" + std::to_string(rank));
    EXPECT_TRUE(group) << group.error().message;
    return std::move(*group);
  }
};

TEST_F(RendezvousTest, lets_nobody_pass_until_all_have_come_then_all_with_the_minimum) {
  Rendezvous first = join(0);
  Rendezvous second = join(1);
  first.arrive({.held = 3, .running = 2, .step = 70});
  EXPECT_FALSE(first.poll({.held = 3, .running = 2, .step = 70}));
  second.arrive({.held = 2, .running = 2, .step = 80});
  const auto agreed = second.poll({});
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->held, 2);
  EXPECT_EQ(agreed->step, 80U);
  // Whatever it would bring now, the round is over.
  EXPECT_EQ(first.poll({.held = 9, .running = 9, .step = 9})->held, 2);
  EXPECT_EQ(first.probe_of(1), "probe-1");
}

TEST_F(RendezvousTest, takes_an_arrival_back_or_says_that_it_is_too_late) {
  Rendezvous first = join(0);
  Rendezvous second = join(1);
  first.arrive({.held = 1});
  EXPECT_FALSE(first.give_up());
  second.arrive({.held = 1});
  EXPECT_FALSE(second.poll({.held = 1})) << "the first has gone";
  first.arrive({.held = 1});
  EXPECT_EQ(second.give_up()->held, 1) << "the first has passed";
}

TEST_F(RendezvousTest, takes_what_a_rank_brings_while_it_waits) {
  Rendezvous first = join(0);
  Rendezvous second = join(1);
  first.arrive({.held = 1});
  EXPECT_FALSE(first.poll({.held = 2}));
  second.arrive({.held = 2});
  EXPECT_EQ(second.poll({})->held, 2);
}

TEST_F(RendezvousTest, lets_all_switch_in_passing_while_a_rank_waits_for_more) {
  Rendezvous first = join(0);
  Rendezvous second = join(1);
  first.arrive({.held = 1, .running = 1, .is_done = false});
  second.arrive({.held = 1, .running = 1, .is_done = true});
  EXPECT_FALSE(second.poll({.held = 1, .running = 1, .is_done = true}));
  EXPECT_FALSE(first.poll({.held = 2, .running = 1, .is_done = false}));
  const auto passing = second.poll({.held = 2, .running = 1, .is_done = true});
  ASSERT_TRUE(passing);
  EXPECT_EQ(passing->held, 2);
  EXPECT_FALSE(passing->is_done);
  EXPECT_EQ(first.poll({})->held, 2);
  first.arrive({.held = 2, .running = 2, .is_done = true});
  second.arrive({.held = 2, .running = 2, .is_done = true});
  EXPECT_TRUE(first.poll({})->is_done);
  EXPECT_TRUE(second.poll({})->is_done);
}

TEST_F(RendezvousTest, refuses_a_rank_twice_and_another_number_of_ranks) {
  const Rendezvous first = join(0);
  const auto again = Rendezvous::join(unique_name("group"), 0, 2, "p");
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("rank 0"), std::string::npos);
  const auto other = Rendezvous::join(unique_name("group"), 1, 3, "p");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("2 ranks"), std::string::npos);
  EXPECT_EQ(first.probe_of(0), "probe-0") << "who was refused has changed nothing";
}

TEST_F(RendezvousTest, begins_afresh_when_all_have_gone) {
  {
    Rendezvous first = join(0);
    first.arrive({.held = 1});
  }
  Rendezvous second = join(1, 3);
  EXPECT_FALSE(probe::Segment::list(probe::Segment::Kind::kRendezvous).empty());
  second.arrive({.held = 1});
  EXPECT_FALSE(second.poll({.held = 1}));
}

TEST(RendezvousAlone, agrees_with_itself) {
  auto alone = Rendezvous::join("", 0, 8, "p");
  ASSERT_TRUE(alone);
  alone->arrive({.held = 4});
  EXPECT_EQ(alone->poll({.held = 5})->held, 5);
  EXPECT_FALSE(alone->poll({.held = 5, .running = 5, .is_done = false}));
  EXPECT_TRUE(alone->poll({.held = 5, .running = 4, .is_done = false}));
}

TEST(Weights, can_be_copied_by_others_until_they_go) {
  const std::string name = unique_name("weights");
  auto weights = Weights::create(name, {0, 1}, 1);
  ASSERT_TRUE(weights);
  const Resident resident{1, 2, 3};
  EXPECT_FALSE(Weights::copy_from(name, resident));
  EXPECT_TRUE(weights->put(resident, weights_of(2, 3)));
  EXPECT_FALSE(weights->put({1, 0, 0}, weights_of(0, 0))) << "GPU 1 has one buffer";
  EXPECT_EQ(Weights::copy_from(name, resident), weights_of(2, 3));
  EXPECT_FALSE(Weights::copy_from(name, {0, 2, 3}));
  weights->keep_only({});
  EXPECT_FALSE(Weights::copy_from(name, resident));
  EXPECT_TRUE(weights->put({1, 0, 0}, weights_of(0, 0)));
  EXPECT_NE(weights_of(0, 1), weights_of(1, 0));
}

TEST(GpusOf, share_out_all_gpus) {
  EXPECT_EQ(gpus_of(1, 2, 8), (std::vector<std::uint32_t>{4, 5, 6, 7}));
  EXPECT_EQ(gpus_of(3, 4, 4), (std::vector<std::uint32_t>{3}));
  EXPECT_EQ(gpus_of(3, 4, 2), (std::vector<std::uint32_t>{1}));
}

/// Two ranks with a GPU each, two layers of four experts, and one spare buffer.
class EpochLoaderTest : public ::testing::Test {
 protected:
  struct Rank {
    Rank(std::uint32_t rank, Rendezvous joined)
        : group(std::move(joined)),
          loader({.probe = unique_name("loader-" + std::to_string(rank)),
                  .rank = rank,
                  .world = 2,
                  .layers = 2,
                  .spare_buffers = 2,
                  .load_time = milliseconds(50)}) {}
    Rendezvous group;
    EpochLoader loader;
  };

  static Rank make(std::uint32_t rank) {
    return {rank, std::move(*Rendezvous::join(unique_name("loaders"), rank, 2,
                                              unique_name("loader-" + std::to_string(rank))))};
  }

  /// `map` is [2 layers][4 slots].
  void begin(std::int64_t epoch, const std::vector<std::uint16_t>& map, const std::vector<ek_copy>& copies) {
    const std::uint32_t slots_of_gpu[] = {2, 2};
    for (Rank* rank : {&first_, &second_}) {
      rank->loader.begin({.epoch = epoch,
                          .base_epoch = epoch - 1,
                          .digest = 0,
                          .gpus = 2,
                          .slots = 4,
                          .slots_of_gpu = slots_of_gpu,
                          .map = map.data(),
                          .copies = copies.data(),
                          .copy_count = copies.size(),
                          .chain_left = 0},
                         now_);
    }
  }
  bool work(Rank& rank) { return rank.loader.work(rank.group, now_); }
  void run_first_epoch() {
    begin(0, {0, 1, 2, 3, 0, 1, 2, 3}, {});
    EXPECT_TRUE(work(first_));
    EXPECT_TRUE(work(second_));
    first_.loader.run_loaded();
    second_.loader.run_loaded();
  }

  EpochLoader::TimePoint now_{};
  Rank first_ = make(0);
  Rank second_ = make(1);
};

TEST_F(EpochLoaderTest, copies_from_the_source_and_waits_for_the_modelled_time) {
  run_first_epoch();
  // Experts 1 and 2 of layer 0 change places.
  begin(1, {0, 2, 1, 3, 0, 1, 2, 3}, {{0, 2, 1, 0}, {0, 1, 0, 1}});
  EXPECT_FALSE(work(first_));
  EXPECT_NE(first_.loader.why_not().find("modelled time"), std::string::npos);
  now_ += milliseconds(50);
  EXPECT_TRUE(work(first_));
  EXPECT_FALSE(work(first_)) << "told once";
  EXPECT_TRUE(work(second_));
}

TEST_F(EpochLoaderTest, says_what_the_source_lacks_and_never_is_ready) {
  run_first_epoch();
  begin(1, {0, 2, 1, 3, 0, 1, 2, 3}, {{0, 2, 0, 0}, {0, 1, 0, 1}});
  now_ += milliseconds(50);
  EXPECT_FALSE(work(first_));
  EXPECT_EQ(first_.loader.why_not(), "layer 0 expert 2 of GPU 0: its source does not hold it");
}

TEST_F(EpochLoaderTest, needs_old_buffers_back_before_it_can_go_on) {
  run_first_epoch();
  const std::vector<std::vector<std::uint16_t>> maps{{0, 2, 1, 3, 0, 2, 1, 3}, {0, 1, 2, 3, 0, 1, 2, 3}};
  const std::vector<std::vector<ek_copy>> copies{{{0, 2, 1, 0}, {0, 1, 0, 1}, {1, 2, 1, 0}, {1, 1, 0, 1}},
                                                 {{0, 1, 1, 0}, {0, 2, 0, 1}, {1, 1, 1, 0}, {1, 2, 0, 1}}};
  begin(1, maps[0], copies[0]);
  now_ += milliseconds(50);
  ASSERT_TRUE(work(first_));
  ASSERT_TRUE(work(second_));
  first_.loader.run_loaded();
  second_.loader.run_loaded();
  // The old copies are still there for other ranks: the next epoch needs none of the spare buffers, another would.
  begin(2, {0, 3, 1, 2, 0, 2, 1, 3}, {{0, 3, 1, 0}, {0, 2, 0, 1}});
  now_ += milliseconds(50);
  EXPECT_FALSE(work(first_));
  EXPECT_EQ(first_.loader.why_not(), "layer 0 expert 3 of GPU 0: no buffer is free");
  first_.loader.retire(0);
  EXPECT_FALSE(work(first_)) << "not all ranks run epoch 1";
  first_.loader.retire(1);
  second_.loader.retire(1);
  EXPECT_TRUE(work(first_));
}

TEST_F(EpochLoaderTest, frees_what_a_withdrawn_epoch_had_loaded) {
  run_first_epoch();
  for (int i = 0; i < 3; ++i) {
    begin(1, {0, 2, 1, 3, 0, 2, 1, 3}, {{0, 2, 1, 0}, {0, 1, 0, 1}, {1, 2, 1, 0}, {1, 1, 0, 1}});
    now_ += milliseconds(50);
    EXPECT_TRUE(work(first_)) << first_.loader.why_not();
    first_.loader.withdraw();
    EXPECT_FALSE(first_.loader.next());
  }
}

}  // namespace
}  // namespace evenkeel::replay::replay_test
