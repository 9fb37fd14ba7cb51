#include "agents/probe/probe.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "agents/probe/probe_reader.h"
#include "agents/probe/replay_side.h"
#include "tests/agents/wire_samples.h"

namespace evenkeel::probe::probe_test {
namespace {

using Handle = std::unique_ptr<ek_probe, decltype(&ek_probe_close)>;

std::string unique_name(const char* what = "probe") {
  return std::string("test-") + what + "-" + std::to_string(getpid());
}

ek_probe_options options(std::uint32_t paths_one_in = 0) {
  ek_probe_options o{};
  o.size = sizeof o;
  o.model = "org/model";
  o.worker = "worker-3";
  o.rank = 3;
  o.world = 8;
  o.paths_one_in = paths_one_in;
  return o;
}

Handle open(std::uint32_t layers = 2, std::uint32_t experts = 4, std::uint32_t top_k = 2, std::uint32_t one_in = 0) {
  const ek_probe_options o = options(one_in);
  Handle handle(ek_probe_open(unique_name().c_str(), layers, experts, top_k, &o), &ek_probe_close);
  EXPECT_TRUE(handle) << ek_probe_error();
  return handle;
}

ProbeReader attach() {
  auto reader = ProbeReader::attach(unique_name());
  EXPECT_TRUE(reader) << reader.error().message;
  return std::move(*reader);
}

std::vector<std::uint64_t> counts(const StageLoad& stage) {
  const auto cells = stage.load_tokens.cells();
  return {cells.begin(), cells.end()};
}

TEST(Probe, says_who_it_is) {
  const auto worker = open();
  ProbeReader reader = attach();
  EXPECT_EQ(reader.model(), "org/model");
  EXPECT_EQ(reader.worker(), "worker-3");
  EXPECT_EQ(reader.rank(), 3U);
  EXPECT_EQ(reader.world(), 8U);
  EXPECT_EQ(reader.shape().layer_ids, (std::vector<int>{0, 1}));
  EXPECT_EQ(reader.shape().experts, 4U);
  EXPECT_TRUE(reader.is_alive());
}

TEST(Probe, publishes_a_step_whole_and_only_when_it_ends) {
  const auto worker = open();
  ProbeReader reader = attach();
  const std::vector<std::int32_t> ids{0, 1, 1, 2, 3, 3};
  ek_probe_record_ids_i32(worker.get(), 0, ids.data(), 3);
  EXPECT_EQ(reader.read()->steps, 0U);
  ek_probe_record_ids_i32(worker.get(), 1, ids.data(), 3);
  ek_probe_end_step(worker.get(), EK_STAGE_DECODE);
  const auto tally = reader.read();
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->steps, 1U);
  ASSERT_EQ(tally->stages.size(), 1U);
  EXPECT_EQ(tally->stages[0].stage, Stage::kDecode);
  EXPECT_EQ(tally->stages[0].tokens, 3U);
  EXPECT_EQ(counts(tally->stages[0]), (std::vector<std::uint64_t>{1, 2, 1, 2, 1, 2, 1, 2}));
}

TEST(Probe, keeps_stages_apart_and_adds_up_over_steps) {
  const auto worker = open(1, 4, 1);
  ProbeReader reader = attach();
  const std::int32_t first = 1;
  const std::int32_t second = 2;
  for (int i = 0; i < 3; ++i) {
    ek_probe_record_ids_i32(worker.get(), 0, &first, 1);
    ek_probe_end_step(worker.get(), EK_STAGE_PREFILL);
    ek_probe_record_ids_i32(worker.get(), 0, &second, 1);
    ek_probe_end_steps(worker.get(), EK_STAGE_DECODE, 10);
  }
  const auto tally = reader.read();
  ASSERT_EQ(tally->stages.size(), 2U);
  EXPECT_EQ(counts(tally->stages[0]), (std::vector<std::uint64_t>{0, 3, 0, 0}));
  EXPECT_EQ(counts(tally->stages[1]), (std::vector<std::uint64_t>{0, 0, 3, 0}));
  EXPECT_EQ(tally->steps, 33U);
}

template <class Id, class Record>
void expect_none_is_left_out(Record record, Id none) {
  const auto worker = open(1, 4, 3);
  ProbeReader reader = attach();
  // Longer than a block of the fast path, with what is no expert in the middle and at the end.
  std::vector<Id> ids(3 * 1000, Id{2});
  ids[1500] = none;
  ids.back() = 4;
  record(worker.get(), 0U, ids.data(), std::size_t{1000});
  ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
  EXPECT_EQ(counts(reader.read()->stages[0]), (std::vector<std::uint64_t>{0, 0, 2998, 0}));
}

TEST(Probe, leaves_out_ids_that_are_no_expert_in_every_type) {
  expect_none_is_left_out<std::int32_t>(ek_probe_record_ids_i32, -1);
  expect_none_is_left_out<std::int32_t>(ek_probe_record_ids_i32, std::numeric_limits<std::int32_t>::min());
  expect_none_is_left_out<std::int64_t>(ek_probe_record_ids_i64, std::int64_t{1} << 32);
  expect_none_is_left_out<std::int64_t>(ek_probe_record_ids_i64, -7);
  expect_none_is_left_out<std::uint8_t>(ek_probe_record_ids_u8, 255);
}

TEST(Probe, takes_every_expert_of_the_largest_model) {
  const auto worker = open(16, 4096, 1);
  ProbeReader reader = attach();
  std::vector<std::int32_t> ids(4096);
  std::iota(ids.begin(), ids.end(), 0);
  for (std::uint32_t layer = 0; layer < 16; ++layer) ek_probe_record_ids_i32(worker.get(), layer, ids.data(), 4096);
  ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
  EXPECT_EQ(counts(reader.read()->stages[0]), std::vector<std::uint64_t>(65'536, 1));
}

TEST(Probe, takes_counts_in_bulk_beside_ids) {
  const auto worker = open(1, 4, 2);
  ProbeReader reader = attach();
  const std::vector<std::uint32_t> bulk{0, 4'000'000'000U, 1, 0};
  ek_probe_record_counts(worker.get(), 0, bulk.data(), 5);
  ek_probe_record_counts(worker.get(), 0, bulk.data(), 5);
  const std::vector<std::uint8_t> ids{1, 3};
  ek_probe_record_ids_u8(worker.get(), 0, ids.data(), 1);
  ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
  EXPECT_EQ(counts(reader.read()->stages[0]), (std::vector<std::uint64_t>{0, 8'000'000'001U, 2, 1}));
  EXPECT_EQ(reader.read()->stages[0].tokens, 11U);
}

TEST(Probe, counts_calls_for_layers_that_are_not_there_and_changes_nothing) {
  const auto worker = open();
  ProbeReader reader = attach();
  const std::vector<std::int32_t> ids{0, 1};
  ek_probe_record_ids_i32(worker.get(), 2, ids.data(), 1);
  ek_probe_end_step(worker.get(), 77);
  EXPECT_EQ(reader.read()->refused_calls, 1U);
  EXPECT_EQ(counts(reader.read()->stages[0]), std::vector<std::uint64_t>(8, 0));
}

TEST(Probe, closes_windows_with_exactly_what_was_counted_in_them) {
  const auto worker = open(1, 4, 1);
  ProbeReader reader = attach();
  const std::int32_t id = 0;
  for (std::uint64_t window = 0; window < 3; ++window) {
    ek_probe_record_ids_i32(worker.get(), 0, &id, 1);
    ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
    ek_probe_end_window(worker.get());
    const auto tally = reader.read();
    EXPECT_EQ(tally->window, window + 1);
    EXPECT_EQ(tally->stages[0].tokens, window + 1);
    EXPECT_EQ(reader.windows(), window + 1);
  }
}

TEST(Probe, can_be_read_at_any_moment) {
  constexpr int kStepsLeast = 20'000;
  constexpr int kReadsLeast = 10;
  // The worker goes on until the reader has had its turns: no machine is busy for so long.
  constexpr std::chrono::seconds kPatience{60};
  const auto worker = open(4, 64, 1);
  ProbeReader reader = attach();
  std::atomic<bool> is_over = false;
  std::atomic<int> reads_midway = 0;
  std::thread reading([&] {
    std::uint64_t last = 0;
    while (!is_over) {
      const auto tally = reader.read();
      if (!tally) continue;
      const std::uint64_t steps = tally->steps;
      EXPECT_GE(steps, last);
      if (steps > last) ++reads_midway;
      last = steps;
      for (const StageLoad& stage : tally->stages) {
        // Each step puts one token on every expert of every layer: a mixture of two steps would show.
        EXPECT_EQ(counts(stage), std::vector<std::uint64_t>(256, steps));
      }
    }
  });
  std::vector<std::int32_t> ids(64);
  std::iota(ids.begin(), ids.end(), 0);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const auto waits_for_reader = [&] { return reads_midway < kReadsLeast && std::chrono::steady_clock::now() < until; };
  for (int step = 0; step < kStepsLeast || waits_for_reader(); ++step) {
    if (step >= kStepsLeast) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (std::uint32_t layer = 0; layer < 4; ++layer) ek_probe_record_ids_i32(worker.get(), layer, ids.data(), 64);
    ek_probe_end_step(worker.get(), EK_STAGE_DECODE);
  }
  EXPECT_GE(reads_midway, kReadsLeast) << "before the last step";
  is_over = true;
  reading.join();
}

/// In a process that then ends as it would by kill -9.
template <class Work>
void in_a_killed_process(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
}

TEST(Probe, outlives_a_worker_that_is_killed_in_the_middle_of_a_publication) {
  const std::string name = unique_name("killed");
  in_a_killed_process([&] {
    const ek_probe_options o = options();
    ek_probe* const worker = ek_probe_open(name.c_str(), 1, 4, 1, &o);
    const std::int32_t id = 3;
    // Both banks have held one, and a third step is not over.
    for (int step = 0; step < 3; ++step) {
      ek_probe_record_ids_i32(worker, 0, &id, 1);
      if (step < 2) ek_probe_end_step(worker, EK_STAGE_MIXED);
    }
    auto reader = ProbeReader::attach(name);
    if (!reader) return;
    Header& header = reader->header();
    const Layout layout(header.geometry);
    Banks banks(header.counts, reinterpret_cast<std::uint64_t*>(&header) + layout.counts, layout.count_words);
    std::uint64_t* const bank = banks.begin();
    for (std::size_t word = 0; word < layout.count_words; ++word) store_word(bank + word, 77);
  });
  {
    auto reader = ProbeReader::attach(name);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_FALSE(reader->is_alive());
    const BankClock& clock = reader->header().counts;
    ASSERT_EQ(clock.writing, clock.published + 1) << "it died while it wrote";
    const auto tally = reader->read();
    ASSERT_TRUE(tally);
    EXPECT_EQ(tally->steps, 2U);
    EXPECT_EQ(tally->window, 0U);
    ASSERT_EQ(tally->stages.size(), 1U);
    EXPECT_EQ(tally->stages[0].tokens, 2U);
    EXPECT_EQ(counts(tally->stages[0]), (std::vector<std::uint64_t>{0, 0, 0, 2}));
  }
  const ek_probe_options o = options();
  const Handle next(ek_probe_open(name.c_str(), 1, 4, 1, &o), &ek_probe_close);
  ASSERT_TRUE(next) << ek_probe_error();
  EXPECT_EQ(ProbeReader::attach(name)->read()->steps, 0U) << "a new incarnation counts from zero";
}

/// A process, not this one's child, that lives until the object goes.
class Helper {
 public:
  explicit Helper(pid_t process) : process_(process) {}
  ~Helper() { kill(process_, SIGKILL); }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

 private:
  pid_t process_;
};

TEST(Probe, of_a_killed_worker_is_a_dead_ones_though_a_child_that_it_forked_lives_on) {
  const std::string name = unique_name("forked");
  int pipe_of_helper[2];
  ASSERT_EQ(pipe(pipe_of_helper), 0);
  in_a_killed_process([&] {
    const ek_probe_options o = options();
    if (!ek_probe_open(name.c_str(), 1, 4, 1, &o)) return;
    if (fork() != 0) return;
    const pid_t helper = getpid();
    static_cast<void>(!write(pipe_of_helper[1], &helper, sizeof helper));
    while (true) pause();
  });
  close(pipe_of_helper[1]);
  pid_t process = 0;
  ASSERT_EQ(read(pipe_of_helper[0], &process, sizeof process), static_cast<ssize_t>(sizeof process));
  close(pipe_of_helper[0]);
  const Helper helper(process);
  EXPECT_FALSE(ProbeReader::attach(name)->is_alive());
  const ek_probe_options o = options();
  const Handle next(ek_probe_open(name.c_str(), 1, 4, 1, &o), &ek_probe_close);
  EXPECT_TRUE(next) << ek_probe_error();
}

TEST(Probe, is_not_ended_by_a_child_that_closes_its_copy) {
  const auto worker = open(1, 4, 1);
  in_a_killed_process([&] { ek_probe_close(worker.get()); });
  ProbeReader reader = attach();
  EXPECT_TRUE(reader.is_alive());
  const std::int32_t id = 1;
  ek_probe_record_ids_i32(worker.get(), 0, &id, 1);
  ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
  EXPECT_EQ(reader.read()->steps, 1U);
}

TEST(Probe, that_is_closed_is_left_for_a_later_agent_where_one_has_been_beside_it) {
  auto worker = open(1, 4, 1);
  attach().header().agent_alive_ms = monotonic_ms();
  const std::int32_t id = 1;
  ek_probe_record_ids_i32(worker.get(), 0, &id, 1);
  ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
  worker.reset();
  {
    ProbeReader reader = attach();
    EXPECT_FALSE(reader.is_alive());
    EXPECT_EQ(reader.read()->steps, 1U);
    reader.remove_if_dead();
  }
  EXPECT_FALSE(ProbeReader::attach(unique_name()));
  worker = open(1, 4, 1);
  worker.reset();
  EXPECT_FALSE(ProbeReader::attach(unique_name())) << "nobody was there, nobody comes";
}

TEST(Probe, of_a_replay_leaves_nothing_when_it_is_closed) {
  auto worker = open(1, 4, 1);
  mark_replay(*worker);
  attach().header().agent_alive_ms = monotonic_ms();
  worker.reset();
  EXPECT_FALSE(ProbeReader::attach(unique_name()));
}

TEST(Probe, has_a_higher_incarnation_than_the_worker_it_replaces_also_when_the_clock_is_set_back) {
  const std::string name = unique_name("clock");
  constexpr std::uint64_t kFuture = std::uint64_t{1} << 50;
  in_a_killed_process([&] {
    const ek_probe_options o = options();
    if (!ek_probe_open(name.c_str(), 1, 4, 1, &o)) return;
    if (auto reader = ProbeReader::attach(name)) reader->header().incarnation = kFuture;
  });
  const ek_probe_options o = options();
  const Handle next(ek_probe_open(name.c_str(), 1, 4, 1, &o), &ek_probe_close);
  ASSERT_TRUE(next) << ek_probe_error();
  EXPECT_EQ(ProbeReader::attach(name)->incarnation(), kFuture + 1);
}

TEST(Probe, refuses_the_name_of_a_living_worker_a_second_agent_and_bad_shapes) {
  const auto worker = open();
  const ek_probe_options o = options();
  EXPECT_FALSE(ek_probe_open(unique_name().c_str(), 2, 4, 2, &o));
  EXPECT_NE(std::string(ek_probe_error()).find("living"), std::string::npos) << ek_probe_error();
  const ProbeReader first = attach();
  const auto second = ProbeReader::attach(unique_name());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another agent"), std::string::npos);
  const auto why = [&](const char* name, std::uint32_t layers, std::uint32_t experts, ek_probe_options given) {
    EXPECT_FALSE(ek_probe_open(name, layers, experts, 2, &given));
    return std::string(ek_probe_error());
  };
  EXPECT_NE(why("a/b", 2, 4, o).find("A-Z"), std::string::npos);
  EXPECT_NE(why("x", 0, 4, o).find("0 layers"), std::string::npos);
  EXPECT_NE(why("x", 100, 4096, o).find("65536"), std::string::npos);
  ek_probe_options bad = o;
  bad.rank = 8;
  EXPECT_NE(why("x", 2, 4, bad).find("rank is 8"), std::string::npos);
  bad = o;
  const std::int32_t ids[] = {3, 3};
  bad.layer_ids = ids;
  EXPECT_NE(why("x", 2, 4, bad).find("layer_ids[1] is 3"), std::string::npos);
  bad = o;
  bad.model = "a b";
  EXPECT_NE(why("x", 2, 4, bad).find("model"), std::string::npos);
}

TEST(ProbePaths, are_every_nth_token_with_its_stage_through_all_layers) {
  const auto worker = open(2, 8, 2, 4);
  ProbeReader reader = attach();
  EXPECT_TRUE(reader.take_paths().empty());
  // Token t of the run chooses t mod 8 and nothing in layer 0, and 7 - t mod 8 in layer 1; steps of 3 and 6 tokens.
  std::uint64_t token = 0;
  for (const int step : {0, 1, 2, 3}) {
    const std::size_t tokens = step % 2 == 0 ? 3 : 6;
    std::vector<std::int32_t> first, second;
    for (std::size_t i = 0; i < tokens; ++i, ++token) {
      first.insert(first.end(), {static_cast<std::int32_t>(token % 8), -1});
      second.insert(second.end(), {static_cast<std::int32_t>(7 - token % 8), -1});
    }
    // A layer may come in pieces.
    ek_probe_record_ids_i32(worker.get(), 0, first.data(), 1);
    ek_probe_record_ids_i32(worker.get(), 0, first.data() + 2, tokens - 1);
    ek_probe_record_ids_i32(worker.get(), 1, second.data(), tokens);
    ek_probe_end_step(worker.get(), step < 2 ? EK_STAGE_PREFILL : EK_STAGE_DECODE);
  }
  ek_probe_end_window(worker.get());
  std::vector<ExpertIndex> chosen;
  std::size_t prefill = 0;
  for (const wire::Paths& paths : reader.take_paths()) {
    EXPECT_EQ(paths.one_in, 4U);
    EXPECT_EQ(paths.window, 0U);
    if (paths.stage == Stage::kPrefill) prefill += paths.experts.rows();
    for (std::size_t row = 0; row < paths.experts.rows(); ++row) {
      EXPECT_EQ(paths.experts(row, 1), kNoExpert);
      EXPECT_EQ(paths.experts(row, 2), 7 - paths.experts(row, 0));
      chosen.push_back(paths.experts(row, 0));
    }
  }
  EXPECT_EQ(chosen, (std::vector<ExpertIndex>{0, 4, 0, 4, 0})) << "tokens 0, 4, 8, 12 and 16 of 18";
  EXPECT_EQ(prefill, 3U);
}

TEST(ProbePaths, of_stages_that_alternate_are_few_messages_in_the_order_of_each_stage) {
  constexpr std::uint32_t kExperts = 512;
  const auto worker = open(1, kExperts, 1, 1);
  ProbeReader reader = attach();
  for (std::int32_t step = 0; step < 500; ++step) {
    ek_probe_record_ids_i32(worker.get(), 0, &step, 1);
    ek_probe_end_step(worker.get(), step % 2 == 0 ? EK_STAGE_PREFILL : EK_STAGE_DECODE);
  }
  ek_probe_end_window(worker.get());
  const auto messages = reader.take_paths();
  ASSERT_EQ(messages.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(messages[i].stage, i == 0 ? Stage::kPrefill : Stage::kDecode);
    ASSERT_EQ(messages[i].experts.rows(), 250U);
    for (std::size_t row = 0; row < 250; ++row) EXPECT_EQ(messages[i].experts(row, 0), 2 * row + i);
  }
}

TEST(ProbePaths, of_more_tokens_than_a_message_holds_are_cut) {
  // 64 layers of 16 choices: a batch has 512 tokens, a message 256.
  const auto worker = open(64, 16, 16, 1);
  ProbeReader reader = attach();
  const std::vector<std::int32_t> ids(512 * 16, 1);
  for (std::uint32_t layer = 0; layer < 64; ++layer) ek_probe_record_ids_i32(worker.get(), layer, ids.data(), 512);
  ek_probe_end_step(worker.get(), EK_STAGE_DECODE);
  const auto messages = reader.take_paths();
  ASSERT_EQ(messages.size(), 2U);
  for (const wire::Paths& paths : messages) EXPECT_EQ(paths.experts.rows(), 256U);
}

TEST(ProbePaths, of_a_reader_that_does_not_keep_up_are_lost_and_counted) {
  const auto worker = open(1, 4, 1, 1);
  ProbeReader reader = attach();
  const std::vector<std::int32_t> ids(2'000, 1);
  for (int step = 0; step < 10; ++step) {
    ek_probe_record_ids_i32(worker.get(), 0, ids.data(), ids.size());
    ek_probe_end_step(worker.get(), EK_STAGE_MIXED);
  }
  EXPECT_EQ(reader.take_paths().size(), kBatches - 1);
  EXPECT_EQ(reader.batches_lost(), 10 - (kBatches - 1));
  EXPECT_EQ(reader.read()->paths_dropped, 10 * (2'000 - kBatchTokens));
}

class ProbeEpochs : public ::testing::Test {
 protected:
  /// Two layers of four experts on two GPUs.
  bool offer(std::uint64_t epoch, const Placement& placement) {
    const std::vector<wire::Copy> copies{{1, 3, 0, 1}};
    return reader_.outbox().offer({.epoch = epoch,
                                   .base_epoch = 0,
                                   .digest = wire::digest(placement),
                                   .chain_left = 2,
                                   .placement = &placement,
                                   .copies = copies});
  }
  int poll() { return ek_probe_poll(worker_.get(), &epoch_); }

  Handle worker_ = open();
  ProbeReader reader_ = attach();
  ek_epoch epoch_{};
};

TEST_F(ProbeEpochs, are_polled_once_with_map_and_copies) {
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
  const Placement placement = wire::sample_placement(1);
  EXPECT_TRUE(offer(5, placement));
  ASSERT_EQ(poll(), EK_POLL_PREPARE);
  EXPECT_EQ(epoch_.epoch, 5);
  EXPECT_EQ(epoch_.base_epoch, 0);
  EXPECT_EQ(epoch_.digest, wire::digest(placement));
  EXPECT_EQ(epoch_.gpus, 2U);
  EXPECT_EQ(epoch_.slots, 4U);
  EXPECT_EQ(epoch_.slots_of_gpu[1], 2U);
  EXPECT_EQ(epoch_.chain_left, 2U);
  EXPECT_EQ(std::vector<std::uint16_t>(epoch_.map, epoch_.map + 8),
            (std::vector<std::uint16_t>{1, 2, 3, 0, 0, 1, 2, 3}));
  ASSERT_EQ(epoch_.copy_count, 1U);
  EXPECT_EQ(epoch_.copies[0].layer, 1);
  EXPECT_EQ(epoch_.copies[0].to_gpu, 1);
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
  EXPECT_TRUE(offer(5, placement));
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
}

TEST_F(ProbeEpochs, are_held_when_ready_and_committed_in_either_order) {
  EXPECT_EQ(ek_probe_held(worker_.get()), -1);
  EXPECT_TRUE(offer(0, wire::sample_placement()));
  ASSERT_EQ(poll(), EK_POLL_PREPARE);
  ek_probe_ready(worker_.get(), 0);
  EXPECT_EQ(reader_.epochs().ready, 0U);
  EXPECT_EQ(ek_probe_held(worker_.get()), -1) << "not committed";
  reader_.outbox().commit(0);
  EXPECT_EQ(ek_probe_held(worker_.get()), 0);
  ek_probe_switched(worker_.get(), 0, 30);
  EXPECT_EQ(reader_.epochs().running,
            (WorkerEpochs::Running{.epoch = 0, .step = 30, .digest = wire::digest(wire::sample_placement())}));
  EXPECT_TRUE(offer(1, wire::sample_placement(1)));
  reader_.outbox().commit(1);
  EXPECT_EQ(ek_probe_held(worker_.get()), 0) << "not loaded";
  ASSERT_EQ(poll(), EK_POLL_PREPARE);
  ek_probe_ready(worker_.get(), 7);
  EXPECT_EQ(ek_probe_held(worker_.get()), 0) << "another epoch's";
  ek_probe_ready(worker_.get(), 1);
  EXPECT_EQ(ek_probe_held(worker_.get()), 1);
}

TEST_F(ProbeEpochs, are_withdrawn_unless_they_are_committed) {
  EXPECT_TRUE(offer(3, wire::sample_placement()));
  ASSERT_EQ(poll(), EK_POLL_PREPARE);
  reader_.outbox().withdraw(2);
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
  reader_.outbox().withdraw(3);
  EXPECT_EQ(poll(), EK_POLL_WITHDRAWN);
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
  EXPECT_TRUE(offer(4, wire::sample_placement(1)));
  reader_.outbox().commit(4);
  reader_.outbox().withdraw(4);
  EXPECT_EQ(poll(), EK_POLL_PREPARE);
}

TEST_F(ProbeEpochs, stay_when_the_agent_is_replaced) {
  EXPECT_TRUE(offer(3, wire::sample_placement()));
  ASSERT_EQ(poll(), EK_POLL_PREPARE);
  ek_probe_ready(worker_.get(), 3);
  { const ProbeReader gone = std::move(reader_); }
  reader_ = attach();
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
  EXPECT_TRUE(offer(3, wire::sample_placement()));
  EXPECT_EQ(poll(), EK_POLL_NOTHING) << "what is loaded is not loaded again";
  reader_.outbox().commit(3);
  EXPECT_EQ(ek_probe_held(worker_.get()), 3);
}

TEST_F(ProbeEpochs, of_more_slots_than_the_worker_has_room_for_are_refused) {
  Grid<ExpertIndex> map(2, 10);
  for (std::size_t cell = 0; cell < 20; ++cell) map.cells()[cell] = static_cast<ExpertIndex>(cell % 10 % 4);
  const auto large = Placement::create({.layer_ids = {1, 2},
                                        .experts = 4,
                                        .nodes = 1,
                                        .slots_of_gpu = {5, 5},
                                        .expert_of_slot = map,
                                        .shares = std::nullopt});
  ASSERT_TRUE(large) << large.error().message;
  EXPECT_FALSE(offer(1, *large));
  EXPECT_EQ(poll(), EK_POLL_NOTHING);
}

TEST(Segment, of_another_kind_or_size_is_no_probe) {
  const auto segment = Segment::create(Segment::Kind::kProbe, unique_name("other"), 100'000);
  ASSERT_TRUE(segment);
  const auto reader = ProbeReader::attach(unique_name("other"));
  ASSERT_FALSE(reader);
  EXPECT_NE(reader.error().message.find("not of this version"), std::string::npos);
  Segment::remove(Segment::Kind::kProbe, unique_name("other"));
  EXPECT_FALSE(ProbeReader::attach(unique_name("other")));
}

/// Where Linux keeps POSIX shared memory.
std::filesystem::path file_of(const std::string& name) { return "/dev/shm/evenkeel-probe." + name; }

TEST(Segment, that_a_dead_process_has_left_empty_is_replaced) {
  const std::string name = unique_name("empty");
  std::ofstream(file_of(name)).close();
  const auto unfinished = Segment::open(Segment::Kind::kProbe, name);
  ASSERT_FALSE(unfinished);
  EXPECT_NE(unfinished.error().message.find("not complete"), std::string::npos);
  const auto segment = Segment::create(Segment::Kind::kProbe, name, 100'000);
  ASSERT_TRUE(segment) << segment.error().message;
  EXPECT_EQ(segment->bytes(), 100'000U);
  Segment::remove(Segment::Kind::kProbe, name);
}

TEST(Segment, beyond_the_memory_that_there_is_fails_when_it_is_made_and_leaves_no_name) {
  const std::string name = unique_name("huge");
  const std::uintmax_t all = std::filesystem::space("/dev/shm").capacity;
  if (all == 0) GTEST_SKIP() << "/dev/shm has no limit";
  const auto segment = Segment::create(Segment::Kind::kProbe, name, all + 1'000'000);
  ASSERT_FALSE(segment);
  EXPECT_NE(segment.error().message.find("cannot be had"), std::string::npos) << segment.error().message;
  EXPECT_FALSE(std::filesystem::exists(file_of(name)));
}

}  // namespace
}  // namespace evenkeel::probe::probe_test
