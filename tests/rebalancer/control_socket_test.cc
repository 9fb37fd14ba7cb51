#include "rebalancer/net/control_socket.h"

#include <gtest/gtest.h>

#include "rebalancer/service/settings.h"

namespace evenkeel::rebalancer::control_socket_test {
namespace {

TEST(ControlRequest, is_a_command_with_a_reason) {
  const auto request = parse_control_request(R"({"command": "freeze", "reason": "a release"})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->command, "freeze");
  EXPECT_EQ(request->reason, "a release");
}

TEST(ControlRequest, is_refused_where_it_is_anything_else) {
  const std::string long_reason = R"({"command": "freeze", "reason": ")" + std::string(201, 'x') + R"("})";
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string(R"({"command": "reboot"})"),
        std::string(R"({"command": 1})"), std::string(R"({"command": "status", "user": "root"})"), long_reason,
        std::string(2'000, ' '), std::string(500, '[')}) {
    EXPECT_FALSE(parse_control_request(text)) << text;
  }
}

TEST(Settings, name_what_a_running_service_cannot_take) {
  Settings running;
  running.given = {{"gpus", "8"}, {"min_gain", "0.1"}, {"log_level", "info"}};
  Settings wanted;
  wanted.given = {{"gpus", "16"}, {"min_gain", "0.2"}, {"http", "127.0.0.1:1"}};
  EXPECT_EQ(changes_needing_restart(running, wanted), (std::vector<std::string>{"gpus", "http"}));
  EXPECT_TRUE(changes_needing_restart(running, running).empty());
}

Settings valid() {
  Settings settings;
  settings.state = "state";
  settings.gpus = 8;
  settings.agents = 2;
  return settings;
}

TEST(Settings, let_others_in_with_keys_or_insecure_only) {
  Settings settings = valid();
  EXPECT_TRUE(validate(settings));
  settings.bind = "tcp://0.0.0.0:1";
  EXPECT_FALSE(validate(settings));
  settings.curve_secret = "a.secret";
  EXPECT_FALSE(validate(settings)) << "keys without a list of keys";
  settings.authorized_keys = "keys";
  EXPECT_TRUE(validate(settings));
  settings.curve_secret.clear();
  settings.authorized_keys.clear();
  settings.insecure = true;
  EXPECT_TRUE(validate(settings));
}

TEST(Settings, let_others_read_metrics_where_that_is_said) {
  Settings settings = valid();
  settings.http = "0.0.0.0:9095";
  settings.insecure = true;
  EXPECT_FALSE(validate(settings));
  settings.http_open = true;
  EXPECT_TRUE(validate(settings));
}

TEST(Settings, name_a_control_path_that_is_too_long) {
  Settings settings = valid();
  settings.state = std::string(120, 'x');
  const auto status = validate(settings);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("--control"), std::string::npos);
}

}  // namespace
}  // namespace evenkeel::rebalancer::control_socket_test
