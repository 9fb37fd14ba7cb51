#pragma once

#include <filesystem>

#include "partition/model/cluster.h"

namespace evenkeel {

/// Reads a cluster from YAML (docs/reference/config.md); what the file leaves out has the defaults of Cluster.
/// Fails with kInvalidInput or kInfeasible.
[[nodiscard]] Result<Cluster> read_cluster(const std::filesystem::path& path);

}  // namespace evenkeel
