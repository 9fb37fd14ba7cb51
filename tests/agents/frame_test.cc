#include "agents/wire/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agents/wire/codec.h"
#include "agents/wire/limits.h"

namespace evenkeel::wire::frame_test {
namespace {

Frames sample() { return seal({"worker-0", "org/model", 0x0102030405060708, Ready{{3, 1}, 1}}); }

std::string error_of(const std::vector<std::string>& frames) {
  const auto envelope = open(frames);
  return envelope ? "" : envelope.error().message;
}

TEST(Frame, lays_out_topic_sequence_and_payload) {
  const Frames frames = sample();
  EXPECT_EQ(frames[0], "ep@worker-0@org/model");
  EXPECT_EQ(frames[1], "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(frames[2], encode(Ready{{3, 1}, 1}));
}

TEST(Frame, gives_back_what_it_sealed) {
  const Frames frames = sample();
  const auto envelope = open(frames);
  ASSERT_TRUE(envelope) << envelope.error().message;
  EXPECT_EQ(envelope->sender, "worker-0");
  EXPECT_EQ(envelope->model, "org/model");
  EXPECT_EQ(envelope->sequence, 0x0102030405060708U);
  EXPECT_EQ(envelope->message, Message(Ready{{3, 1}, 1}));
}

TEST(Frame, refuses_a_wrong_number_of_frames) {
  const Frames f = sample();
  EXPECT_NE(error_of({}).find("0 frames"), std::string::npos);
  EXPECT_NE(error_of({f[0], f[1]}).find("2 frames"), std::string::npos);
  EXPECT_NE(error_of({f[0], f[1], f[2], ""}).find("4 frames"), std::string::npos);
}

TEST(Frame, refuses_a_malformed_topic) {
  const Frames f = sample();
  for (const std::string topic : {"", "kv@a@b", "ep@a", "ep@@b", "ep@a@", "ep@a@b@c", "ep@a b@c", "ep@a\n@c"}) {
    EXPECT_NE(error_of({topic, f[1], f[2]}), "") << topic;
  }
  EXPECT_NE(error_of({"ep@" + std::string(kNameBytesMax + 1, 'a') + "@b", f[1], f[2]}), "");
}

TEST(Frame, refuses_a_malformed_sequence) {
  const Frames f = sample();
  EXPECT_NE(error_of({f[0], "", f[2]}), "");
  EXPECT_NE(error_of({f[0], std::string(9, '\0'), f[2]}), "");
  EXPECT_NE(error_of({f[0], std::string(8, '\xFF'), f[2]}), "");
}

}  // namespace
}  // namespace evenkeel::wire::frame_test
