#include "rebalancer/core/operator.h"

#include <gtest/gtest.h>

namespace evenkeel::rebalancer::operator_test {
namespace {

using Command = Control::Command;

class OperatorTest : public testing::Test {
 protected:
  Orders tell(Command command) { return operator_.take({command, "why"}, out_); }
  /// The events that were noted since the last call.
  std::vector<std::string> noted() {
    std::vector<std::string> events;
    for (const Action& action : out_.take()) events.push_back(std::get<wire::Note>(action).event);
    return events;
  }

  Outbox out_;
  Operator operator_{CoreOptions{}};
};

TEST_F(OperatorTest, holds_everything_from_a_freeze_to_its_end_and_has_what_is_under_way_given_up) {
  const Orders frozen = tell(Command::kFreeze);
  EXPECT_EQ(frozen.give_up, "frozen: why");
  EXPECT_FALSE(frozen.has_new_options);
  EXPECT_TRUE(operator_.is_frozen());
  EXPECT_TRUE(operator_.is_held());
  EXPECT_FALSE(tell(Command::kUnfreeze).give_up);
  EXPECT_FALSE(operator_.is_held());
  EXPECT_EQ(noted(), (std::vector<std::string>{"frozen", "unfrozen"}));
}

TEST_F(OperatorTest, never_lets_go_after_a_drain) {
  EXPECT_EQ(tell(Command::kDrain).give_up, "the rebalancer ends");
  static_cast<void>(tell(Command::kUnfreeze));
  EXPECT_TRUE(operator_.is_held());
  EXPECT_FALSE(operator_.is_frozen());
}

TEST_F(OperatorTest, asks_for_a_plan_and_nothing_else_when_triggered) {
  const Orders orders = tell(Command::kTrigger);
  EXPECT_TRUE(orders.is_triggered);
  EXPECT_FALSE(orders.has_new_options);
  EXPECT_FALSE(orders.give_up);
  EXPECT_EQ(noted(), std::vector<std::string>{"plan_triggered"});
}

TEST_F(OperatorTest, gives_up_what_is_under_way_when_a_dry_run_begins_but_not_when_it_ends) {
  const Orders began = tell(Command::kDryRunOn);
  EXPECT_TRUE(began.has_new_options);
  EXPECT_EQ(began.give_up, "a dry run began");
  EXPECT_TRUE(operator_.options().policy.is_dry_run);
  EXPECT_FALSE(operator_.is_held()) << "plans are still made";
  const Orders ended = tell(Command::kDryRunOff);
  EXPECT_TRUE(ended.has_new_options);
  EXPECT_FALSE(ended.give_up);
  EXPECT_FALSE(operator_.is_dry_run());
}

TEST_F(OperatorTest, takes_new_options_that_a_running_service_can_take_and_leaves_a_dry_run_on) {
  static_cast<void>(tell(Command::kDryRunOn));
  CoreOptions wanted;
  wanted.tokens_min = 5;
  wanted.lease = std::chrono::milliseconds(1);
  wanted.cluster.gpus = 64;
  wanted.agents_expected = 7;
  EXPECT_TRUE(operator_.reload(wanted).has_new_options);
  EXPECT_EQ(operator_.options().tokens_min, 5U);
  EXPECT_EQ(operator_.options().lease.count(), 1);
  EXPECT_EQ(operator_.options().cluster.gpus, CoreOptions{}.cluster.gpus);
  EXPECT_EQ(operator_.options().agents_expected, 1U);
  EXPECT_TRUE(operator_.is_dry_run());
}

}  // namespace
}  // namespace evenkeel::rebalancer::operator_test
