#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

#include "pipeline/flags/nearest.h"
#include "pipeline/replay/lane.h"

namespace evenkeel {
namespace {

/// `asked`: what is asked for beside what the day is replayed with.
Result<Placement> placed(const RoutingProfile& profile, const ReplayOptions& options, Strategy strategy,
                         ProblemOptions asked = {}) {
  PlaceOptions place_options;
  place_options.problem = std::move(asked);
  place_options.strategy = strategy;
  place_options.problem.redundant = options.redundant;
  place_options.problem.groups = options.groups;
  place_options.problem.objective.comm = options.comm;
  if (options.slack_ratio) {
    place_options.problem.load_slack_ratio = *options.slack_ratio;
  } else {
    place_options.problem.step = options.policy.step_time;
  }
  place_options.effort.work_units = options.work_units;
  place_options.effort.seed = options.seed;
  EVENKEEL_TRY(solution, place(profile, options.policy.cluster, place_options));
  return std::move(solution.placement);
}

/// Loads alone.
RoutingProfile loads_of(const RoutingProfile& window) { return {window.shape, window.windows, {}}; }

class Never : public Rebalancing {
 public:
  [[nodiscard]] std::string name() const override { return "never"; }
};

void append(TokenPaths& paths, const TokenPaths& more) {
  if (paths.empty()) {
    paths = more;
    return;
  }
  const std::size_t tokens = paths.tokens();
  paths.experts.insert(paths.experts.end(), more.experts.begin(), more.experts.end());
  for (std::size_t sequence = 1; sequence < more.sequence_start.size(); ++sequence)
    paths.sequence_start.push_back(tokens + more.sequence_start[sequence]);
}

/// A plan from scratch on the last windows, token paths included, whatever it moves.
class Every : public Rebalancing {
 public:
  Every(std::string name, std::size_t windows, Strategy strategy, const ReplayOptions& options)
      : name_(std::move(name)), every_(windows), strategy_(strategy), options_(options) {}
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] Result<std::optional<Placement>> after(const RoutingProfile& window, const Placement&) override {
    seen_.shape = window.shape;
    seen_.windows.insert(seen_.windows.end(), window.windows.begin(), window.windows.end());
    append(seen_.paths, window.paths);
    if (++windows_ % every_ != 0) return std::optional<Placement>();
    auto next = placed(seen_, options_, strategy_);
    seen_ = {};
    // What has no plan in its budget keeps what runs.
    if (!next && next.error().code == ErrorCode::kTimeLimit) {
      ++plans_missed_;
      return std::optional<Placement>();
    }
    EVENKEEL_TRY(placement, std::move(next));
    return std::optional(std::move(placement));
  }
  [[nodiscard]] std::string reason() const override { return fmt::format("{} windows have passed", every_); }
  [[nodiscard]] std::size_t plans_missed() const override { return plans_missed_; }

 private:
  std::string name_;
  std::size_t every_;
  Strategy strategy_;
  const ReplayOptions& options_;
  RoutingProfile seen_;
  std::size_t windows_ = 0;
  std::size_t plans_missed_ = 0;
};

/// The service's own decisions.
class Adaptive : public Rebalancing {
 public:
  explicit Adaptive(const ReplayOptions& options) : options_(options), policy_(options.policy) {}
  [[nodiscard]] std::string name() const override { return "evenkeel"; }
  [[nodiscard]] Result<std::optional<Placement>> after(const RoutingProfile& window,
                                                       const Placement& running) override {
    auto request = policy_.close(window.windows, running);
    if (!request) return std::optional<Placement>();
    EVENKEEL_TRY(candidate, placed(request->profile, options_, Strategy::kEvenkeel, request->options.problem));
    if (!policy_.judge(running, candidate)) return std::optional<Placement>();
    return std::optional(std::move(candidate));
  }
  [[nodiscard]] std::string reason() const override { return policy_.record().reason; }

 private:
  const ReplayOptions& options_;
  Policy policy_;
};

/// The most even for each window's loads, known before it is served.
class Oracle : public Rebalancing {
 public:
  explicit Oracle(const ReplayOptions& options) : options_(options) {}
  [[nodiscard]] std::string name() const override { return "oracle"; }
  [[nodiscard]] Result<std::optional<Placement>> before(const RoutingProfile& window) override {
    EVENKEEL_TRY(best, placed(loads_of(window), options_, Strategy::kEvenkeel));
    return std::optional(std::move(best));
  }

 private:
  const ReplayOptions& options_;
};

Error unknown_policy(const std::string& name, const std::string& hint) {
  return {
      ErrorCode::kInvalidInput,
      fmt::format("policy '{}' is unknown{}; give never, every:N, every:N:STRATEGY, evenkeel or oracle", name, hint)};
}

Result<std::unique_ptr<Rebalancing>> make_every(const std::string& name, const ReplayOptions& options) {
  constexpr std::string_view kPrefix = "every:";
  std::string_view rest = std::string_view(name).substr(kPrefix.size());
  std::size_t windows = 0;
  const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), windows);
  if (code != std::errc() || windows == 0) return tl::unexpected(unknown_policy(name, ", N being 1 or more windows"));
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (rest.empty()) return std::make_unique<Every>(name, windows, Strategy::kEplb, options);
  std::vector<std::string> names;
  for (const Strategy strategy : all_strategies()) {
    if (rest == fmt::format(":{}", strategy_name(strategy)))
      return std::make_unique<Every>(name, windows, strategy, options);
    names.push_back(fmt::format("every:{}:{}", windows, strategy_name(strategy)));
  }
  return tl::unexpected(unknown_policy(name, did_you_mean(name, names)));
}

}  // namespace

Result<std::unique_ptr<Rebalancing>> make_rebalancing(const std::string& name, const ReplayOptions& options) {
  if (name == "never") return std::make_unique<Never>();
  if (name == "evenkeel") return std::make_unique<Adaptive>(options);
  if (name == "oracle") return std::make_unique<Oracle>(options);
  if (name.starts_with("every:")) return make_every(name, options);
  static const std::vector<std::string> kNames{"never", "every:4", "evenkeel", "oracle"};
  return tl::unexpected(unknown_policy(name, did_you_mean(name, kNames)));
}

}  // namespace evenkeel
