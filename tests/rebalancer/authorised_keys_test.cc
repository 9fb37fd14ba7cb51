#include "rebalancer/net/authorised_keys.h"

#include <gtest/gtest.h>

#include "agents/shell/curve_keys.h"
#include "rebalancer/net/zap_handler.h"

namespace evenkeel::rebalancer::authorised_keys_test {
namespace {

const std::string kKey = shell::generate_curve_keys().public_key;
const std::string kOther = shell::generate_curve_keys().public_key;

AuthorisedKeys parse(const std::string& text) {
  auto keys = AuthorisedKeys::parse("keys", text);
  EXPECT_TRUE(keys) << keys.error().message;
  return keys ? *keys : AuthorisedKeys();
}

TEST(AuthorisedKeys, lets_a_key_speak_for_the_worker_of_its_name_alone) {
  const AuthorisedKeys keys = parse("# agents\n\n" + kKey + " worker-0\n");
  ASSERT_NE(keys.user_of(kKey), nullptr);
  EXPECT_EQ(*keys.user_of(kKey), "worker-0");
  EXPECT_EQ(keys.user_of(kOther), nullptr);
  EXPECT_TRUE(keys.may_speak_for("worker-0", "worker-0"));
  EXPECT_FALSE(keys.may_speak_for("worker-0", "worker-01"));
  EXPECT_FALSE(keys.may_speak_for("", "worker-0"));
  EXPECT_FALSE(keys.may_operate("worker-0"));
}

TEST(AuthorisedKeys, takes_patterns_and_operators) {
  const AuthorisedKeys keys = parse(kKey + " host worker=host-* worker=spare\n" + kOther + " alice operator\n");
  EXPECT_TRUE(keys.may_speak_for("host", "host-7"));
  EXPECT_TRUE(keys.may_speak_for("host", "spare"));
  EXPECT_FALSE(keys.may_speak_for("host", "host"));
  EXPECT_TRUE(keys.may_operate("alice"));
  EXPECT_FALSE(keys.may_speak_for("alice", "alice"));
}

TEST(AuthorisedKeys, knows_two_keys_of_one_user_while_they_are_changed) {
  const AuthorisedKeys keys = parse(kKey + " a\n" + kOther + " a operator\n");
  EXPECT_EQ(keys.keys(), 2U);
  EXPECT_TRUE(keys.may_operate("a"));
  EXPECT_TRUE(keys.may_speak_for("a", "a"));
}

TEST(AuthorisedKeys, names_the_line_that_is_wrong) {
  for (const std::string& line : {std::string("short a"), kKey, kKey + " a@b", kKey + " a sudo", kKey + " a worker="}) {
    const auto keys = AuthorisedKeys::parse("keys", "# first\n" + line + "\n");
    ASSERT_FALSE(keys) << line;
    EXPECT_NE(keys.error().message.find("keys line 2"), std::string::npos) << keys.error().message;
  }
  EXPECT_FALSE(AuthorisedKeys::parse("keys", kKey + " a\n" + kKey + " b\n"));
}

TEST(ZapReply, admits_known_keys_under_their_users_name) {
  const AuthorisedKeys keys = parse("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7 worker-0\n");
  // The bytes of the key above, which stands in ZeroMQ's own documentation of CURVE.
  const std::string bytes =
      "\x54\xFC\xBA\x24\xE9\x32\x49\x96\x93\x16\xFB\x61\x7C\x87\x2B\xB0\xC1\xD1\xFF\x14\x80\x04\x27\xC5\x94\xCB\xFA\xCF"
      "\x1B\xC2"
      "\xD6\x52";
  const shell::Parts request{"peer", "", "1.0", "7", "evenkeel", "127.0.0.1", "", "CURVE", bytes};
  const auto reply = zap_reply(request, keys);
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, (shell::Parts{"peer", "", "1.0", "7", "200", "OK", "worker-0", ""}));
}

TEST(ZapReply, refuses_everything_else) {
  const AuthorisedKeys keys = parse(kKey + " worker-0\n");
  const shell::Parts curve{"peer", "", "1.0", "7", "evenkeel", "127.0.0.1", "", "CURVE", std::string(32, 'x')};
  const shell::Parts null{"peer", "", "1.0", "7", "evenkeel", "127.0.0.1", "", "NULL"};
  const shell::Parts plain{"peer", "", "1.0", "7", "evenkeel", "127.0.0.1", "", "PLAIN", "admin", "admin"};
  for (const shell::Parts& request : {curve, null, plain}) {
    const auto reply = zap_reply(request, keys);
    ASSERT_TRUE(reply);
    EXPECT_EQ((*reply)[4], "400");
    EXPECT_EQ((*reply)[6], "");
  }
  EXPECT_FALSE(zap_reply({"peer", ""}, keys));
  EXPECT_FALSE(zap_reply({"peer", "", "2.0", "7", "", "", "", "CURVE", ""}, keys));
}

}  // namespace
}  // namespace evenkeel::rebalancer::authorised_keys_test
