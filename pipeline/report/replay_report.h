#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/objective.h"
#include "pipeline/replay/lane.h"
#include "pipeline/replay/verdict.h"
#include "pipeline/report/html_report.h"

namespace evenkeel {

/// Lanes of a day on so many nodes, with so many redundant slots a layer and such a slack, and what follows from them.
struct ReplayedDay {
  std::size_t nodes = 1;
  std::size_t redundant = 0;
  /// Absent: the modelled step decides.
  std::optional<double> slack_ratio;
  std::vector<LaneResult> lanes;
  /// Of evenkeel's own policy without its limit on moves, where it has one.
  std::optional<LaneResult> unlimited{};
  /// What throughputs are set against: never's of the first day on as many nodes.
  double never_throughput = 0;
  ReplayVerdict verdict;
};

/// Gives every day its verdict, against never on the first day on as many nodes: spare slots are empty hands where
/// nothing moves, and would make their own never worse.
void judge(std::vector<ReplayedDay>& days, const PolicyOptions& options);

/// The day whose verdict speaks for all: of those that say rebalance the one whose best policy serves most tokens a
/// second; else the first.
[[nodiscard]] const ReplayedDay& deciding_day(const std::vector<ReplayedDay>& days);

/// The document "evenkeel.replay/1" (docs/reference/replay.md).
[[nodiscard]] nlohmann::ordered_json replay_json(const std::vector<ReplayedDay>& days, const PolicyOptions& options);

/// A page about one day (docs/reference/report.md): policies as a timeline, and what served the first window and, under
/// the verdict's policy, the last, measured on the last, which was not planned on. `last_window` must outlive the
/// report. Fails as measure() does.
[[nodiscard]] Result<HtmlReport> replay_page(const ReplayedDay& day, const RoutingProfile& last_window,
                                             const PolicyOptions& options, Comm comm);

/// A table of the policies, and the verdict.
[[nodiscard]] std::string replay_table(const std::vector<ReplayedDay>& days, const PolicyOptions& options);

}  // namespace evenkeel
