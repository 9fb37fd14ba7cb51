// An adopted plan's way through its epochs.
#include "rebalancer/core/migration.h"

#include "tests/rebalancer/core_parts_fixture.h"

namespace evenkeel::rebalancer::migration_test {
namespace {

using Outcome = Migration::Outcome;

MigrationOptions migration_options() {
  return {.prepare_timeout = milliseconds(10'000),
          .resend_interval = milliseconds(300),
          .resend_interval_max = milliseconds(1'000)};
}

class MigrationTest : public CorePartsTest {
 protected:
  MigrationTest() {
    join_all();
    migration_.commit_first(contiguous(), "contiguous", out_);
    static_cast<void>(out_.take());
  }

  /// Two experts change places in each layer: an epoch a layer where a GPU has one spare buffer.
  static AdoptedPlan plan(std::size_t epochs) {
    const Cluster cluster{.gpus = 2};
    const PlanOptions options{.spare = epochs == 1 ? 2U : 1U, .expert_bytes = 1};
    auto migration = plan_migration(contiguous(), better(), cluster, options);
    EXPECT_TRUE(migration);
    auto placements = epoch_placements(*migration, contiguous(), better());
    EXPECT_EQ(placements.size(), epochs);
    return {*std::move(migration), std::move(placements), Grid<std::uint64_t>(2, 4, 10), TimePoint{}};
  }
  Outcome begin(std::size_t epochs = 1) { return migration_.begin(plan(epochs), registry_, now_, out_); }
  Outcome ready(std::uint32_t rank, std::uint64_t epoch) {
    return migration_.ready(agent(rank), {{1, epoch}, 1}, registry_, now_, out_);
  }
  Outcome applied(std::uint32_t rank) {
    const auto& running = *migration_.running();
    return migration_.applied(agent(rank), {{1, running.epoch}, 1, wire::digest(running.placement), 0}, registry_, now_,
                              out_);
  }
  Outcome all_ready(std::uint64_t epoch) {
    EXPECT_EQ(ready(0, epoch), Outcome::kGoesOn);
    return ready(1, epoch);
  }
  Outcome all_applied() {
    EXPECT_EQ(applied(0), Outcome::kGoesOn);
    return applied(1);
  }
  Actions resend() {
    migration_.resend(registry_, now_, out_);
    return out_.take();
  }
  static RecordKind written(const Actions& actions) {
    const auto* write = first<Write>(actions);
    EXPECT_TRUE(write);
    EXPECT_EQ(write->records.back().model, "model");
    return write->records.back().kind;
  }
  template <class M>
  static const M* broadcast(const Actions& actions) {
    for (const Action& action : actions) {
      const auto* all = std::get_if<Broadcast>(&action);
      if (all && std::holds_alternative<M>(all->message)) return &std::get<M>(all->message);
    }
    return nullptr;
  }

  Migration migration_{migration_options(), 1, {}};
};

TEST_F(MigrationTest, commits_only_when_all_are_ready_and_is_over_with_its_last_epoch) {
  EXPECT_EQ(begin(), Outcome::kGoesOn);
  const Actions prepared = out_.take();
  EXPECT_EQ(written(prepared), RecordKind::kPrepare);
  EXPECT_TRUE(broadcast<wire::Prepare>(prepared));
  EXPECT_TRUE(migration_.is_preparing());
  EXPECT_EQ(ready(0, 1), Outcome::kGoesOn);
  EXPECT_EQ(ready(0, 1), Outcome::kGoesOn) << "twice is once";
  EXPECT_EQ(migration_.running()->epoch, 0U);
  EXPECT_EQ(ready(1, 1), Outcome::kEnded);
  const Actions committed = out_.take();
  EXPECT_EQ(written(committed), RecordKind::kCommit);
  EXPECT_TRUE(std::holds_alternative<Write>(committed.front())) << "written before anyone is told";
  EXPECT_TRUE(sent_to<wire::Commit>(committed, "w1"));
  EXPECT_EQ(notes(committed, "migration_finished").size(), 1U);
  EXPECT_EQ(migration_.running()->placement, better());
}

TEST_F(MigrationTest, retires_an_epoch_once_all_have_switched_and_only_then_prepares_the_next) {
  EXPECT_EQ(begin(2), Outcome::kGoesOn);
  EXPECT_EQ(all_ready(1), Outcome::kGoesOn) << "one more epoch to come";
  EXPECT_EQ(applied(0), Outcome::kGoesOn);
  EXPECT_FALSE(migration_.is_preparing());
  static_cast<void>(out_.take());
  EXPECT_EQ(applied(1), Outcome::kGoesOn);
  const Actions next = out_.take();
  EXPECT_TRUE(sent_to<wire::Retire>(next, "w0"));
  ASSERT_TRUE(broadcast<wire::Prepare>(next));
  EXPECT_EQ(broadcast<wire::Prepare>(next)->base_epoch, 1U);
  EXPECT_EQ(broadcast<wire::Prepare>(next)->chain_left, 0U);
  EXPECT_EQ(all_ready(2), Outcome::kEnded);
  EXPECT_EQ(all_applied(), Outcome::kGoesOn);
  EXPECT_EQ(migration_.counters().epochs_retired, 2U);
}

TEST_F(MigrationTest, prepares_no_further_epoch_where_an_agent_is_absent) {
  EXPECT_EQ(begin(2), Outcome::kGoesOn);
  EXPECT_EQ(all_ready(1), Outcome::kGoesOn);
  now_ += milliseconds(60'001);
  agent(1).heard_at = now_;
  EXPECT_EQ(all_applied(), Outcome::kEnded);
  EXPECT_EQ(text_of(out_.take(), "migration_dropped", "reason"), "an agent is absent");
  EXPECT_EQ(migration_.running()->epoch, 1U) << "what is committed stands";
}

TEST_F(MigrationTest, is_aborted_at_the_deadline_by_the_names_of_those_that_were_not_ready) {
  static_cast<void>(begin());
  static_cast<void>(ready(0, 1));
  now_ += milliseconds(9'999);
  EXPECT_EQ(migration_.expire(registry_, now_, out_), Outcome::kGoesOn);
  static_cast<void>(out_.take());
  now_ += milliseconds(1);
  EXPECT_EQ(migration_.expire(registry_, now_, out_), Outcome::kEnded);
  const Actions aborted = out_.take();
  EXPECT_EQ(written(aborted), RecordKind::kAbort);
  EXPECT_EQ(text_of(aborted, "epoch_aborted", "reason"), "the deadline has passed without w1");
  EXPECT_TRUE(sent_to<wire::Abort>(aborted, "w0"));
  EXPECT_EQ(ready(1, 1), Outcome::kLate);
  EXPECT_EQ(migration_.running()->epoch, 0U);
}

TEST_F(MigrationTest, is_dropped_but_not_taken_back_where_an_agent_does_not_switch_in_time) {
  static_cast<void>(begin(2));
  EXPECT_EQ(all_ready(1), Outcome::kGoesOn);
  now_ += milliseconds(10'000);
  EXPECT_EQ(migration_.expire(registry_, now_, out_), Outcome::kEnded);
  EXPECT_EQ(migration_.running()->epoch, 1U);
  EXPECT_EQ(all_applied(), Outcome::kGoesOn);
  EXPECT_FALSE(migration_.is_preparing());
}

TEST_F(MigrationTest, goes_by_refusals_of_what_is_prepared_alone) {
  using enum wire::RefusalReason;
  EXPECT_EQ(migration_.refused("w0", {kShapeMismatch, "prepare", 1, {1, 0}, ""}, registry_, out_), Outcome::kLate);
  static_cast<void>(begin());
  EXPECT_EQ(migration_.refused("w0", {kShapeMismatch, "prepare", 0, {1, 0}, ""}, registry_, out_), Outcome::kLate);
  EXPECT_TRUE(migration_.is_preparing());
  EXPECT_EQ(migration_.refused("w0", {kShapeMismatch, "prepare", 1, {1, 0}, ""}, registry_, out_), Outcome::kEnded);
  EXPECT_EQ(migration_.counters().epochs_aborted, 1U);
}

TEST_F(MigrationTest, can_be_given_up_before_commit_and_between_epochs_and_never_uses_a_number_twice) {
  EXPECT_EQ(migration_.give_up("why", registry_, out_), Outcome::kGoesOn) << "nothing is under way";
  static_cast<void>(begin(2));
  EXPECT_EQ(migration_.give_up("why", registry_, out_), Outcome::kEnded);
  static_cast<void>(begin(2));
  EXPECT_EQ(ready(0, 1), Outcome::kLate);
  EXPECT_EQ(all_ready(2), Outcome::kGoesOn);
  EXPECT_EQ(migration_.give_up("why", registry_, out_), Outcome::kEnded);
  EXPECT_EQ(migration_.counters().epochs_aborted, 1U) << "the second was committed already";
  EXPECT_EQ(migration_.counters().chains_dropped, 2U);
}

TEST_F(MigrationTest, repeats_itself_ever_more_slowly_to_those_who_have_not_answered) {
  static_cast<void>(begin());
  static_cast<void>(ready(0, 1));
  static_cast<void>(out_.take());
  std::vector<std::int64_t> repeated_ms;
  for (int ms = 100; ms <= 5'000; ms += 100) {
    now_ += milliseconds(100);
    const Actions actions = resend();
    EXPECT_FALSE(sent_to<wire::Prepare>(actions, "w0"));
    if (sent_to<wire::Prepare>(actions, "w1")) repeated_ms.push_back(ms);
  }
  EXPECT_EQ(repeated_ms, (std::vector<std::int64_t>{300, 900, 1'900, 2'900, 3'900, 4'900}));
}

TEST_F(MigrationTest, repeats_commit_until_it_is_applied_and_nothing_to_the_absent) {
  static_cast<void>(begin());
  static_cast<void>(all_ready(1));
  static_cast<void>(applied(0));
  static_cast<void>(out_.take());
  now_ += milliseconds(300);
  const Actions repeated = resend();
  EXPECT_FALSE(sent_to<wire::Commit>(repeated, "w0"));
  EXPECT_TRUE(sent_to<wire::Commit>(repeated, "w1"));
  EXPECT_FALSE(migration_.is_settled(registry_, now_));
  now_ += milliseconds(60'001);
  EXPECT_TRUE(resend().empty());
  EXPECT_TRUE(migration_.is_settled(registry_, now_)) << "nobody who is there waits";
}

TEST_F(MigrationTest, brings_who_comes_back_up_to_date) {
  static_cast<void>(begin());
  static_cast<void>(out_.take());
  migration_.welcome(agent(0), now_, out_);
  const Actions greeted = out_.take();
  EXPECT_EQ(sent_to<wire::Snapshot>(greeted, "w0")->placement, contiguous());
  EXPECT_TRUE(sent_to<wire::Prepare>(greeted, "w0"));
  static_cast<void>(all_ready(1));
  static_cast<void>(all_applied());
  static_cast<void>(out_.take());
  migration_.welcome(agent(0), now_, out_);
  EXPECT_TRUE(sent_to<wire::Retire>(out_.take(), "w0"));
}

TEST_F(MigrationTest, goes_on_from_what_the_journal_has_committed) {
  Migration again(migration_options(), 2, {Committed{4, better()}, 6, {}});
  EXPECT_EQ(again.stamp(), (wire::Stamp{2, 4}));
  EXPECT_EQ(again.running()->placement, better());
  EXPECT_EQ(again.begin(plan(1), registry_, now_, out_), Outcome::kGoesOn);
  const Actions prepared = out_.take();
  EXPECT_EQ(broadcast<wire::Prepare>(prepared)->stamp, (wire::Stamp{2, 6}));
}

}  // namespace
}  // namespace evenkeel::rebalancer::migration_test
