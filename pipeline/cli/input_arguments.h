#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/model_spec.h"
#include "pipeline/cli/progress.h"
#include "pipeline/config/cluster_file.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// --layer-ids: numbers such as 3-60, as Error::about() wants them parsed.
[[nodiscard]] Result<std::vector<int>> parse_layer_ids(const std::string& flag, const std::string& text);

/// TRACE... and how to read them.
struct InputArguments {
  std::vector<std::filesystem::path> traces;
  std::optional<std::size_t> experts;
  /// Absent: as the model says, or the traces.
  std::optional<std::vector<int>> layer_ids;

  void add_to(CLI::App& command);
  /// Reads the traces, held against the model if there is one, while `progress` shows a bar. A note says which layers
  /// are taken as dense.
  [[nodiscard]] Trace read(const std::optional<ModelSpec>& model, Progress& progress) const;
  /// The same, handed on piece by piece.
  void read_into(RecordingSink& sink, const std::optional<ModelSpec>& model, Progress& progress) const;
  /// The MoE layers that the model or --layer-ids names; none where neither is given.
  [[nodiscard]] std::vector<int> known_layers(const std::optional<ModelSpec>& model) const {
    return options_for(model).moe_layer_ids;
  }

 private:
  [[nodiscard]] ReadOptions options_for(const std::optional<ModelSpec>& model) const;
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

}  // namespace evenkeel
