#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rebalancer/core/core.h"

namespace evenkeel::rebalancer {

using std::chrono::milliseconds;

/// The first message of type M to `peer`, or null.
template <class M>
const M* sent_to(const Actions& actions, const std::string& peer) {
  for (const Action& action : actions) {
    const auto* send = std::get_if<Send>(&action);
    if (!send || send->peer != peer) continue;
    if (const auto* message = std::get_if<M>(&send->message)) return message;
  }
  return nullptr;
}

template <class A>
const A* first(const Actions& actions) {
  for (const Action& action : actions) {
    if (const auto* found = std::get_if<A>(&action)) return found;
  }
  return nullptr;
}

/// The notes of one event.
inline std::vector<wire::Note> notes(const Actions& actions, const std::string& event) {
  std::vector<wire::Note> found;
  for (const Action& action : actions) {
    const auto* note = std::get_if<wire::Note>(&action);
    if (note && note->event == event) found.push_back(*note);
  }
  return found;
}

/// A field of text of the first note of one event, or "".
inline std::string text_of(const Actions& actions, const std::string& event, const std::string& name) {
  for (const wire::Note& note : notes(actions, event)) {
    for (const auto& [key, value] : note.fields) {
      if (key == name && std::holds_alternative<std::string>(value)) return std::get<std::string>(value);
    }
  }
  return "";
}

/// A HELLO of the model below.
inline wire::Hello hello_of(std::uint32_t rank, std::uint64_t incarnation = 1) {
  const std::vector<int> layer_ids{0, 3};
  return {incarnation, wire::model_hash(layer_ids, 4), rank, 2, layer_ids, 4, 0, std::nullopt};
}

/// What a worker has counted: both layers the same, a step a token.
inline wire::Report report_of(std::uint64_t sequence, const std::vector<std::uint64_t>& counts,
                              std::uint64_t incarnation = 1, std::uint64_t window = 0) {
  Grid<std::uint64_t> table(2, counts.size());
  std::uint64_t tokens = 0;
  for (std::size_t e = 0; e < counts.size(); ++e) tokens += table(0, e) = table(1, e) = counts[e];
  return {incarnation, sequence, 0, window, tokens, {{Stage::kMixed, tokens, table}}};
}

/// The placement that is perfect where experts 0 and 1 are hot and contiguous ones share a GPU.
inline Placement better() {
  Grid<ExpertIndex> map(2, 4);
  const std::vector<ExpertIndex> experts{0, 2, 1, 3};
  for (std::size_t slot = 0; slot < 4; ++slot) map(0, slot) = map(1, slot) = experts[slot];
  return *Placement::create({.layer_ids = {0, 3},
                             .experts = 4,
                             .nodes = 1,
                             .slots_of_gpu = {2, 2},
                             .expert_of_slot = map,
                             .shares = std::nullopt});
}

/// Two layers of four experts on two GPUs, two agents "a" and "b", and a clock that only the test moves. Both layers
/// count the same, a token chooses one expert, and a window ends after 100 steps of a token. A journal keeps what the
/// core has written, as the store would.
class CoreTest : public testing::Test {
 protected:
  static CoreOptions options() {
    CoreOptions o;
    o.cluster.gpus = 2;
    o.agents_expected = 2;
    o.tokens_min = 100;
    o.window_steps = 100;
    o.policy.warmup_windows = 0;
    o.interval_min = milliseconds(1'000);
    o.prepare_timeout = milliseconds(10'000);
    o.lease = milliseconds(60'000);
    return o;
  }

  /// A process that starts on the journal: what the program does before it serves.
  static Core start(std::vector<JournalRecord>& journal, std::uint64_t term, const CoreOptions& o = options(),
                    const std::vector<TotalRecord>& totals = {}) {
    auto recovery = recover(term, journal, totals);
    EXPECT_TRUE(recovery);
    journal.insert(journal.end(), recovery->aborts.begin(), recovery->aborts.end());
    auto core = Core::create(o, term, recovery->groups["model"]);
    EXPECT_TRUE(core) << core.error().message;
    return std::move(*core);
  }

  Actions step(const Event& event) {
    Actions actions = core_.step(event, now_);
    for (const Action& action : actions) {
      const auto* write = std::get_if<Write>(&action);
      if (write) journal_.insert(journal_.end(), write->records.begin(), write->records.end());
      if (const auto* kept = std::get_if<WriteTotals>(&action)) keep(kept->records);
    }
    return actions;
  }
  Actions receive(const std::string& worker, wire::Message message) {
    return step(Received{worker, worker, "model", std::move(message)});
  }
  Actions hello(const std::string& worker, std::uint64_t incarnation = 1) {
    return receive(worker, hello_of(worker == "a" ? 0U : 1U, incarnation));
  }
  Actions report(const std::string& worker, std::uint64_t sequence, std::vector<std::uint64_t> counts,
                 std::uint64_t incarnation = 1) {
    return receive(worker, report_of(sequence, counts, incarnation));
  }
  Actions applied(const std::string& worker, std::uint64_t incarnation = 1) {
    const wire::Stamp stamp{core_.term(), core_.running()->epoch};
    return receive(worker, wire::Applied{stamp, incarnation, wire::digest(core_.running()->placement), 0});
  }
  Actions tick(milliseconds later) {
    now_ += later;
    return step(Tick{});
  }

  void join_both() {
    for (const std::string worker : {"a", "b"}) {
      static_cast<void>(hello(worker));
      static_cast<void>(applied(worker));
    }
  }
  /// Reports on which the contiguous map is bad (experts 0 and 1 are hot) and better() is perfect.
  Actions start_plan() {
    join_both();
    static_cast<void>(report("a", 1, {60, 40, 10, 10}));
    return report("b", 1, {40, 60, 10, 10});
  }
  /// Up to a PREPARE that both agents have heard.
  Actions prepare_better() {
    const Actions actions = start_plan();
    const auto* job = first<StartPlanning>(actions);
    EXPECT_TRUE(job);
    return step(PlanReady{"model", job ? job->plan : 0, better(), 0.1});
  }
  Actions ready(const std::string& worker) { return receive(worker, wire::Ready{{core_.term(), last_prepared()}, 1}); }
  /// Both agents are ready; what the second one's word leads to.
  Actions both_ready() {
    static_cast<void>(ready("a"));
    return ready("b");
  }
  Actions both_applied() {
    static_cast<void>(applied("a"));
    return applied("b");
  }
  std::uint64_t last_prepared() const {
    std::uint64_t epoch = 0;
    for (const JournalRecord& record : journal_) {
      if (record.kind == RecordKind::kPrepare) epoch = record.stamp.epoch;
    }
    return epoch;
  }
  void restart() { restart_with(options()); }
  void restart_with(const CoreOptions& o) { core_ = start(journal_, core_.term() + 1, o, totals_); }
  void keep(const std::vector<TotalRecord>& records) {
    for (const TotalRecord& record : records) {
      std::erase_if(totals_, [&](const TotalRecord& old) { return old.worker == record.worker; });
      if (record.incarnation > 0 || !record.stages.empty()) totals_.push_back(record);
    }
  }

  TimePoint now_{};
  std::vector<JournalRecord> journal_;
  std::vector<TotalRecord> totals_;
  Core core_ = start(journal_, 1);
};

}  // namespace evenkeel::rebalancer
