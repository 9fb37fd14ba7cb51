#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "partition/adaptive/load_forecast.h"
#include "partition/adaptive/plan_request.h"
#include "partition/cost/step_time.h"
#include "partition/foundation/result.h"
#include "partition/migrate/plan.h"
#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"
#include "partition/model/stage_load.h"

namespace evenkeel {

struct PolicyOptions {
  Cluster cluster;
  StepTimeModel step_time;
  /// Steps that a window stands for. Above 0.
  double window_steps = 1000;
  /// Windows at the start that tell nothing: engines run made-up batches before they serve.
  std::size_t warmup_windows = 1;
  /// Least windows from one adopted placement to the next; a migration must pay within them. At least 1.
  std::size_t interval_windows = 1;
  /// Most slots that a migration may move, as a share of all slots. Range (0, 1].
  double moves_ratio_max = 0.25;
  /// Least share of the modelled step time that a migration must save. Range [0, 1]. Below half a percent the service
  /// is as well off without.
  double gain_min_ratio = 0.005;
  /// As MigrationStakes::guard_ratio.
  double guard_ratio = 0.1;
  /// Share of a migration's transfer time that serving stands still for. Range [0, 1]. 1 is an engine that stops; spare
  /// buffers are loaded beside serving but share its links, so what they cost is somewhere below.
  double stall_ratio = 1.0;
  /// As PlanOptions::spare.
  std::size_t spare = 2;
  /// Decisions are made and told, but never carried out.
  bool is_dry_run = false;

  /// Fails with kInvalidInput, naming the option, its value and the range.
  [[nodiscard]] Status validate() const;
};

/// What was decided at the end of a window, and the figures it was decided by. Seconds are modelled.
struct DecisionRecord {
  std::uint64_t window = 0;
  bool is_adopt = false;
  /// One sentence.
  std::string reason;
  /// Of the running placement on this window: max / mean GPU load, mean over loaded layers.
  double imbalance = 1;
  /// LoadForecast's, mean over stages by tokens.
  double drift = 0;
  bool is_sudden = false;
  /// What the plan is expected to save until the next may follow, after `trust`; absent without a plan.
  std::optional<double> gain_seconds;
  /// Serving time that the migration costs.
  std::optional<double> cost_seconds;
  /// No placement saves more; absent while warming up.
  std::optional<double> bound_seconds;
  /// Share of what plans promised that the windows after them bore out. Range [0, 1].
  double trust = 1;
  std::size_t moves = 0;
};

/// Decides when to plan and whether a plan is carried out: one closed window after the other. It keeps a decayed
/// forecast of each stage's loads, asks for a plan where something worth having can be gained at all, and adopts it
/// where decide() says that it pays, on what earlier plans turned out to be worth. Pure: no clock, files or randomness;
/// equal calls give equal decisions. The service and `evenkeel replay` use the same. Not thread-safe. Cost: a few
/// passes over the counts and maps a window.
class Policy {
 public:
  explicit Policy(PolicyOptions options) : options_(std::move(options)) {}

  /// Takes in a window that `running` has served. The placement asked for, on expected loads with a window a stage,
  /// goes to judge(); otherwise the decision is "keep", in record(). `hold` is a reason of the caller's not to plan
  /// now.
  [[nodiscard]] std::optional<PlanRequest> close(const std::vector<StageLoad>& window, const Placement& running,
                                                 std::optional<std::string> hold = std::nullopt);

  /// Takes in loads known from before, such as a stored profile's: the first window then is none of warm-up.
  void prime(const std::vector<StageLoad>& loads);

  /// Decides about the placement that the last request led to. The chain of epochs to carry out, none for "keep".
  /// record() says why.
  [[nodiscard]] std::optional<MigrationPlan> judge(const Placement& running, const Placement& candidate);

  /// The request led to nothing: "keep", for this reason.
  void keep(std::string reason) { record_.reason = std::move(reason); }

  /// Of the last window, complete once judge() or keep() has answered its request.
  [[nodiscard]] const DecisionRecord& record() const { return record_; }
  [[nodiscard]] std::uint64_t windows() const { return windows_; }

  /// An operator's wish: the next window is planned for, whatever the interval and the bound say.
  void trigger() { is_triggered_ = true; }
  [[nodiscard]] bool is_triggered() const { return is_triggered_; }
  /// Other options from the next window on.
  void reconfigure(PolicyOptions options);
  [[nodiscard]] const PolicyOptions& options() const { return options_; }

 private:
  /// What is known of a stage.
  struct Memory {
    LoadForecast forecast;
    /// Decayed like the middle memory: what share of the traffic is of this stage.
    double tokens = 0;
    /// The last windows, oldest first; of a sudden change the one that showed it and those after it.
    std::deque<Grid<std::uint64_t>> recent;
  };
  /// A plan whose worth the next window will show.
  struct Promise {
    Placement from;
    Placement to;
    double saved_seconds;
  };

  void take(const std::vector<StageLoad>& window, const Placement& running);
  void learn(const std::vector<StageLoad>& window);
  /// Has a request fit the last windows at once, where they differ by more than chance.
  void hedge(PlanRequest& request) const;
  void expect(const ModelShape& shape, const Placement& running);
  void settle_promise(const std::vector<StageLoad>& window, const ModelShape& shape);
  [[nodiscard]] std::optional<std::string> reason_not_to_plan() const;
  /// Modelled time of a step under the forecast, stages weighed by tokens.
  [[nodiscard]] std::chrono::duration<double> expected_step(const Placement& placement) const;
  [[nodiscard]] std::chrono::duration<double> expected_step_bound(const Placement& placement) const;
  [[nodiscard]] double horizon_steps() const {
    return options_.window_steps * static_cast<double>(options_.interval_windows);
  }

  PolicyOptions options_;
  std::map<Stage, Memory, StageByName> stages_;
  /// What stages_ expects, one window a stage, with its share of the tokens beside it.
  RoutingProfile forecast_;
  std::vector<double> stage_share_;
  DecisionRecord record_;
  std::uint64_t windows_ = 0;
  /// Expected of the running placement.
  std::chrono::duration<double> step_before_{0};
  std::optional<std::uint64_t> adopted_at_;
  std::optional<Promise> promise_;
  double promised_seconds_ = 0;
  double borne_out_seconds_ = 0;
  bool is_triggered_ = false;
  bool is_primed_ = false;
};

}  // namespace evenkeel
