#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/cluster.h"
#include "pipeline/config/cluster_file.h"

namespace evenkeel {

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

}  // namespace evenkeel
