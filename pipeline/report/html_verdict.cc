#include "pipeline/report/html_verdict.h"

#include <fmt/format.h>

#include <cmath>

#include "partition/model/migration.h"

namespace evenkeel {
namespace {

/// What a step's modelled time is of.
std::string step_words(const Metrics& metrics) {
  return metrics.gpus_touched ? "a modelled step" : "the modelled compute of a step";
}

std::string moves_words(const ReportPlacement& placement, const Metrics& metrics) {
  if (!placement.score.replan || !metrics.moved_bytes) return "";
  return fmt::format(", for {} slots that change ({:.1f} GB)", placement.score.replan->moves,
                     *metrics.moved_bytes / 1e9);
}

/// Whether GPUs of the placement before are lost, so that it cannot be kept.
bool has_lost_gpus(const HtmlReport& report, const ReportPlacement& after) {
  if (!report.before->placement || !after.placement) return false;
  for (std::size_t gpu = 0; gpu < report.cluster.gpus; ++gpu) {
    if (is_lost(*report.before->placement, *after.placement, GpuId(gpu))) return true;
  }
  return false;
}

ReportVerdict figures_of(const std::string& name, const Metrics& metrics, const std::string& traffic) {
  return {"figures", fmt::format("With {}, {} takes {:.2f} ms{}, and a layer's busiest GPU carries {:.1f} % above the "
                                 "mean.",
                                 name, step_words(metrics), metrics.step_time_seconds * 1e3, traffic,
                                 100 * (metrics.imbalance_mean - 1))};
}

}  // namespace

ReportVerdict verdict_of(const HtmlReport& report) {
  const ReportPlacement* const best = best_placement(report);
  const Metrics* const after = best ? shown_metrics(*best) : nullptr;
  const Metrics* const before = report.before ? shown_metrics(*report.before) : nullptr;
  if (!after && !before) return {"figures", "No placement was found."};
  const std::string traffic = report.is_held_out ? " on traffic it was not fitted to" : "";
  if (!before) return figures_of(best->score.strategy, *after, traffic);
  const std::string& before_name = report.before->score.strategy;
  const std::string running = before_name == kRunningName ? "the running placement" : before_name;
  if (!after) return figures_of(running, *before, traffic);
  const std::string& name = best->score.strategy;
  const double gain = 1 - after->step_time_seconds / before->step_time_seconds;
  if (has_lost_gpus(report, *best)) {
    return {"rebalance",
            fmt::format("{} serves every expert without the GPUs that are lost: {} takes {:.2f} ms, {:.1f} % {} than "
                        "before{}.",
                        name, step_words(*after), after->step_time_seconds * 1e3, 100 * std::abs(gain),
                        gain < 0 ? "longer" : "shorter", moves_words(*best, *after))};
  }
  if (gain < kStepTimeEqualRatio) {
    return {"keep", fmt::format("Keep {}: with the best other placement, {}, {} is {:.1f} % {}{}.", running, name,
                                step_words(*after), 100 * std::abs(gain), gain < 0 ? "longer" : "shorter", traffic)};
  }
  return {"better", fmt::format("{} makes {} {:.1f} % shorter than {}{}: {:.2f} instead of {:.2f} ms{}.", name,
                                step_words(*after), 100 * gain, running, traffic, after->step_time_seconds * 1e3,
                                before->step_time_seconds * 1e3, moves_words(*best, *after))};
}

}  // namespace evenkeel
