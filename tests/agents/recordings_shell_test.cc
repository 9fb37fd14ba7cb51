#include "agents/recordings/recordings_shell.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <variant>
#include <vector>

#include "agents/wire/frame.h"
#include "tests/agents/wire_samples.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::agent::recordings_shell_test {
namespace {

using std::chrono::milliseconds;

/// Answers every HELLO with a snapshot, until a report has come.
std::optional<wire::Report> first_report(RecordingsShell& shell, shell::Socket& router) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < until) {
    if (!shell.do_work(milliseconds(10))) return std::nullopt;
    const auto parts = router.receive();
    if (!parts) continue;
    const auto envelope = wire::open(std::span(*parts).subspan(1));
    if (!envelope) return std::nullopt;
    if (const auto* const report = std::get_if<wire::Report>(&envelope->message)) return *report;
    const wire::Frames answer = wire::seal(
        {std::string(wire::kRebalancerName), envelope->model, 1, wire::Snapshot{{1, 0}, wire::sample_placement()}});
    shell::Parts answered{parts->front()};
    answered.insert(answered.end(), answer.begin(), answer.end());
    if (router.send(answered) != shell::Socket::Sent::kQueued) return std::nullopt;
  }
  return std::nullopt;
}

TEST(RecordingsShell, numbers_its_reports_above_those_of_the_process_before_whatever_the_clock_says) {
  // Milliseconds since 1970 in the year 37,648.
  constexpr std::uint64_t kFuture = std::uint64_t{1} << 50;
  const testing::TemporaryFolder folder;
  const auto state = folder.path() / ".state.json";
  RecordedCounts counts;
  counts.incarnation = 1;
  counts.reports_from = kFuture;
  counts.layer_ids = {1, 2};
  counts.experts = 4;
  counts.counts[2] = {Stage::kMixed, 7, Grid<std::uint64_t>(2, 4, 7)};
  counts.files["first.json"] = {};
  ASSERT_TRUE(write_counts(state, counts));
  RecordingsOptions options;
  options.folder = folder.path();
  options.state = state;
  options.worker = "recordings";
  options.model = "model";
  options.endpoints.rebalancer = "inproc://rebalancer";
  shell::SocketContext context;
  auto router = shell::Socket::router(context, "inproc://rebalancer");
  ASSERT_TRUE(router) << router.error().message;
  std::uint64_t last = kFuture;
  for (int process = 0; process < 2; ++process) {
    auto shell = RecordingsShell::open(context, options, [](const wire::Note&) {});
    ASSERT_TRUE(shell) << shell.error().message;
    const auto report = first_report(*shell, *router);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->incarnation, 1U);
    EXPECT_GT(report->sequence, last);
    last = report->sequence;
  }
}

}  // namespace
}  // namespace evenkeel::agent::recordings_shell_test
