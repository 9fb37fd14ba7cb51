#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/stage.h"
#include "partition/model/cluster.h"

namespace evenkeel {

/// Numbers of layers are below this: far more than any model has; recordings are held to the same.
inline constexpr std::size_t kLayersBelow = 10'000;

/// GPUs that share one copy of a model's experts, or of those of some of its layers (a stage of pipeline parallelism),
/// for all traffic or that of one stage of serving.
struct EpGroup {
  /// Empty where the file has one group without a name.
  std::string name;
  Cluster cluster;
  /// Absolute numbers of the layers it has, ascending; empty: all.
  std::vector<std::size_t> layers;
  /// Absent: all traffic.
  std::optional<Stage> stage;
};

/// Names of the hardware presets that come with the program, ascending.
[[nodiscard]] std::vector<std::string> hardware_names();

/// Reads a cluster from YAML (docs/reference/config.md), a document for each EP group; what the file leaves out has the
/// values of the hardware preset that it names, else the defaults of Cluster. `path_or_name` is a path where it has a
/// slash or ends in .yaml, else the name of a preset. Fails with kInvalidInput or kInfeasible.
[[nodiscard]] Result<std::vector<EpGroup>> read_cluster(const std::string& path_or_name);
/// The group of that name. Fails with kInvalidInput, naming those there are.
[[nodiscard]] Result<EpGroup> named_group(const std::vector<EpGroup>& groups, const std::string& path_or_name,
                                          const std::string& name);
/// The one group. Fails with kInvalidInput where there are several.
[[nodiscard]] Result<EpGroup> only_group(const std::vector<EpGroup>& groups, const std::string& path_or_name);

}  // namespace evenkeel
