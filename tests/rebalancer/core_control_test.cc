#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_control_test {
namespace {

using Command = Control::Command;

class CoreControlTest : public CoreTest {
 protected:
  Actions tell(Command command) { return step(Control{command, "why"}); }
};

TEST_F(CoreControlTest, keeps_a_plan_that_was_made_while_it_was_frozen) {
  const Actions planning = start_plan();
  const auto* job = first<StartPlanning>(planning);
  ASSERT_NE(job, nullptr);
  tell(Command::kFreeze);
  EXPECT_EQ(first<Write>(step(PlanReady{"model", job->plan, better(), 0.1})), nullptr);
  EXPECT_EQ(core_.counters().decisions_keep, 1U);
}

TEST_F(CoreControlTest, is_settled_once_nothing_is_prepared_and_all_have_switched) {
  EXPECT_TRUE(core_.is_settled(now_));
  prepare_better();
  EXPECT_FALSE(core_.is_settled(now_));
  both_ready();
  EXPECT_FALSE(core_.is_settled(now_)) << "committed, but nobody has switched";
  EXPECT_EQ(core_.phase(), "switching");
  both_applied();
  tell(Command::kDrain);
  EXPECT_TRUE(core_.is_settled(now_));
}

TEST_F(CoreControlTest, does_not_wait_for_agents_that_are_gone) {
  prepare_better();
  both_ready();
  EXPECT_FALSE(core_.is_settled(now_));
  now_ += milliseconds(60'001);
  EXPECT_TRUE(core_.is_settled(now_));
}

TEST_F(CoreControlTest, a_drain_gives_up_what_is_prepared_and_starts_nothing) {
  prepare_better();
  EXPECT_NE(sent_to<wire::Abort>(tell(Command::kDrain), "b"), nullptr);
  EXPECT_TRUE(core_.is_settled(now_));
  tell(Command::kTrigger);
  static_cast<void>(report("a", 2, {600, 400, 10, 10}));
  EXPECT_EQ(first<StartPlanning>(report("b", 2, {400, 600, 10, 10})), nullptr);
}

TEST_F(CoreControlTest, a_dry_run_gives_up_what_is_prepared) {
  prepare_better();
  EXPECT_NE(sent_to<wire::Abort>(tell(Command::kDryRunOn), "b"), nullptr);
  EXPECT_EQ(core_.counters().chains_dropped, 1U);
}

TEST_F(CoreControlTest, refuses_a_lease_of_nothing) {
  CoreOptions o = options();
  o.lease = milliseconds(0);
  EXPECT_FALSE(o.validate());
}

TEST_F(CoreControlTest, takes_new_thresholds_and_nothing_else) {
  CoreOptions wanted = options();
  wanted.tokens_min = 5;
  wanted.policy.gain_min_ratio = 0.5;
  wanted.cluster.gpus = 64;
  step(Reconfigured{wanted});
  EXPECT_EQ(core_.options().tokens_min, 5U);
  EXPECT_EQ(core_.policy().options().gain_min_ratio, 0.5);
  EXPECT_EQ(core_.options().cluster.gpus, options().cluster.gpus);
  EXPECT_EQ(core_.policy().options().cluster.gpus, options().cluster.gpus);
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_control_test
