#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/model_spec.h"
#include "partition/place.h"
#include "pipeline/cli/progress.h"
#include "pipeline/config/cluster_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Raised by commands and by option callbacks; main() prints the message and exits with the code's number.
struct CommandError {
  Error error;
};

/// The value of a Result, or a CommandError thrown to main(): commands are the last place that can fail.
template <class T>
T value_or_exit(Result<T> result) {
  if (!result) throw CommandError{std::move(result).error()};
  return *std::move(result);
}
inline void ok_or_exit(const Status& status) {
  if (!status) throw CommandError{status.error()};
}

/// Makes the folder of --out-dir, with its parents, where it is not there yet.
void make_folder(const std::filesystem::path& folder);

/// TRACE... and how to read them.
struct InputArguments {
  std::vector<std::filesystem::path> traces;
  std::optional<std::size_t> experts;

  void add_to(CLI::App& command);
  /// Reads the traces, held against the model if there is one, while `progress` shows a bar.
  [[nodiscard]] Trace read(const std::optional<ModelSpec>& model, Progress& progress) const;
  /// The same, handed on piece by piece.
  void read_into(RecordingSink& sink, const std::optional<ModelSpec>& model, Progress& progress) const;

 private:
  using Read = std::function<Status(const std::vector<std::filesystem::path>& paths, const ReadOptions& options)>;
  /// Calls `read` with the files of the traces, a copy of standard input among them where one is "-".
  void with_files(const std::optional<ModelSpec>& model, Progress& progress, const Read& read) const;
};

/// --skip, --stage and --layers.
struct SelectionArguments {
  Selection selection;

  void add_to(CLI::App& command);
  /// The input's traffic without what is left out.
  [[nodiscard]] Trace read(const InputArguments& input, const std::optional<ModelSpec>& model,
                           Progress& progress) const;
  /// What an EP group has of it. Throws a CommandError where it has nothing.
  [[nodiscard]] Trace of_group(const InputArguments& input, const EpGroup& group, Trace trace) const;
};

/// --cluster and --ep-group, or --gpus and --nodes; with a hardware preset both.
struct ClusterArguments {
  /// A cluster file, or a preset's name.
  std::optional<std::string> file;
  std::optional<std::string> group;
  std::optional<std::size_t> gpus;
  std::optional<std::size_t> nodes;

  void add_to(CLI::App& command);
  /// The EP groups, or the one that is asked for. What the command line gives wins over the environment; on one level a
  /// file and counts exclude each other.
  [[nodiscard]] std::vector<EpGroup> read_groups() const;
  /// The one group; throws a CommandError where there are several.
  [[nodiscard]] EpGroup read() const;

 private:
  [[nodiscard]] std::vector<EpGroup> group_of(std::vector<EpGroup> groups) const;
  [[nodiscard]] bool is_flag_given(const char* flag) const;
  /// The cluster with --gpus and --nodes, where given, in place of its own.
  [[nodiscard]] EpGroup sized(Cluster cluster) const;

  CLI::App* command_ = nullptr;
};

/// --model: adds the option, which reads the model while the command line is parsed. `model` must outlive `command`.
void add_model_option(CLI::App& command, std::optional<ModelSpec>& model);

/// The model that was recorded, and what the figures are measured with.
struct ModelArguments {
  /// Absent: what the trace tells, and the defaults of StepTimeModel.
  std::optional<ModelSpec> spec;
  std::size_t batch_tokens = StepTimeModel{}.batch_tokens;
  /// Absent: the command's default.
  std::optional<std::string> comm_name;

  void add_to(CLI::App& command);
  /// The step-time model of the model on this cluster.
  [[nodiscard]] StepTimeModel step_time(const Cluster& cluster) const;
  [[nodiscard]] Comm comm(Comm otherwise = Comm::kResident) const {
    if (!comm_name) return otherwise;
    return *comm_name == "dispatch" ? Comm::kDispatch : Comm::kResident;
  }
};

/// How a placement is searched.
struct SolveArguments {
  PlaceOptions options;
  /// Absent: those of the model, or 1.
  std::optional<std::size_t> groups;
  /// Absent: 10 s, and 1 s where GPUs are lost.
  std::optional<std::string> time;
  /// Absent: time where speeds differ, else load.
  std::optional<std::string> balance;
  /// A ratio, or "auto": the one of several with the least modelled step time.
  std::string slack = "0.02";
  std::string objective = "lexicographic";
  std::string split = "even";
  std::vector<std::string> without;
  /// Windows that the fitted sequences are cut into; absent: 1, or what goes best with a slack that is chosen.
  std::optional<std::size_t> windows;
  /// Absent: the mean, where windows can be fitted at once.
  std::optional<std::string> robust;

  void add_to(CLI::App& command);
  [[nodiscard]] std::chrono::duration<double> time_for(const Cluster& cluster) const;
  /// Whether the slack is to be chosen for a strategy that looks at one.
  [[nodiscard]] bool chooses_slack(Strategy strategy) const {
    return slack == "auto" && strategy == Strategy::kEvenkeel;
  }
  [[nodiscard]] std::size_t groups_of(const std::optional<ModelSpec>& model) const;
  /// The options with a strategy, the model's groups and a way to count communication, for a cluster that may give the
  /// slots.
  [[nodiscard]] PlaceOptions with(Strategy strategy, const ModelArguments& model, Comm comm, const Cluster& cluster,
                                  std::size_t experts) const;
};

/// --from, how much of it may move, and which GPUs are lost.
struct FromArguments {
  std::optional<std::filesystem::path> file;
  std::optional<double> moves_ratio_max;
  std::optional<double> bytes_max;
  std::vector<std::size_t> lost;

  void add_to(CLI::App& command);
  [[nodiscard]] bool has_budget() const { return moves_ratio_max || bytes_max; }
  /// The running placement for a model and cluster, with its budget of moves on this traffic; absent without --from.
  /// Where GPUs are lost, no moves beyond those that this needs are allowed by default, unless so many GPUs are to be
  /// survivable again.
  [[nodiscard]] std::optional<Replan> read(const RoutingProfile& profile, const Cluster& cluster,
                                           const StepTimeModel& model, std::size_t survive) const;
  /// The cluster with the slots that its memory has room for, and none on the lost GPUs; the others have those that the
  /// cluster gives them, or that they have in the running placement, or equally many.
  [[nodiscard]] Cluster settled(Cluster cluster, const std::optional<Replan>& replan, const ModelShape& shape,
                                std::size_t redundant, const StepTimeModel& model) const;
};

/// Throws a CommandError where --robust is asked for together with a budget of moves, which does not look at windows.
void check_robust(const SolveArguments& solve, const FromArguments& from);

/// A duration such as 500ms, 10s, 2m or 1h; a bare number is seconds. Fails with kInvalidInput.
[[nodiscard]] Result<std::chrono::duration<double>> parse_duration(const std::string& text);

/// A slack such as 0.02, or that of PlaceOptions for "auto". Fails with kInvalidInput.
[[nodiscard]] Result<double> parse_slack(const std::string& text);

/// The measure "mean", "max" or "cvar:Q". Fails with kInvalidInput.
[[nodiscard]] Result<Robust> parse_robust(const std::string& text);

/// Weights of the objective "weighted:A,B"; absent for "lexicographic". Fails with kInvalidInput.
[[nodiscard]] Result<std::optional<CommWeights>> parse_objective(const std::string& text);

/// Names of all strategies, with commas.
[[nodiscard]] std::string strategy_names();

/// Fails with kInvalidInput, naming the nearest strategy.
[[nodiscard]] Result<Strategy> parse_strategy(const std::string& name);

/// Options as the scores JSON records them.
[[nodiscard]] nlohmann::ordered_json options_json(const InputArguments& input, const Cluster& cluster,
                                                  const ModelArguments& model, Comm comm, const SolveArguments* solve);

}  // namespace evenkeel
