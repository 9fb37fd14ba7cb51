#include "agents/shell/note_text.h"

#include <gtest/gtest.h>

#include "agents/shell/logging.h"

namespace evenkeel::shell::note_text_test {
namespace {

TEST(NoteText, keeps_one_line_whatever_a_peer_wrote) {
  const wire::Note note{"message_refused", {{"by", "worker-0"}, {"epoch", std::uint64_t{3}}, {"detail", "a\n\"b\" c"}}};
  EXPECT_EQ(key_values(note), "event=message_refused by=worker-0 epoch=3 detail=\"a?\\\"b\\\" c\"");
}

TEST(NoteText, is_json_whatever_a_peer_wrote) {
  const wire::Note note{"message_refused", {{"by", "a\"b\n\xff"}, {"epoch", std::uint64_t{3}}, {"gain", 0.5}}};
  EXPECT_EQ(json_members(note), "\"event\":\"message_refused\",\"by\":\"a\\\"b\\n\\ufffd\",\"epoch\":3,\"gain\":0.5");
  EXPECT_EQ(level_of(note), "warning");
  EXPECT_EQ(level_of({"worker_fenced", {}}), "warning");
  EXPECT_EQ(level_of({"epoch_ready", {}}), "info");
}

TEST(LogLimit, counts_the_lines_of_a_flood_that_it_holds_back) {
  LogLimit limit;
  const LogLimit::TimePoint start{};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limit.admits(start));
  EXPECT_FALSE(limit.admits(start + std::chrono::milliseconds(999)));
  EXPECT_TRUE(limit.admits(start + std::chrono::seconds(1)));
  EXPECT_EQ(limit.suppressed(), 1U);
}

}  // namespace
}  // namespace evenkeel::shell::note_text_test
