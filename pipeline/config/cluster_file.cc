#include "pipeline/config/cluster_file.h"

#include <fmt/format.h>

#include "pipeline/config/strict_yaml.h"

namespace evenkeel {
namespace {

Status read_link(const StrictYaml& yaml, const std::string& tier, Link& link) {
  EVENKEEL_TRY(bandwidth, yaml.number(tier + ".bandwidth_gb_per_s"));
  EVENKEEL_TRY(latency, yaml.number(tier + ".latency_us"));
  if (bandwidth) link.bandwidth_gb_per_s = *bandwidth;
  if (latency) link.latency = std::chrono::duration<double, std::micro>(*latency);
  return {};
}

}  // namespace

Result<Cluster> read_cluster(const std::filesystem::path& path) {
  EVENKEEL_TRY(yaml, StrictYaml::read(path, {"gpus", "nodes", "intra_node.bandwidth_gb_per_s", "intra_node.latency_us",
                                             "inter_node.bandwidth_gb_per_s", "inter_node.latency_us"}));
  Cluster cluster;
  EVENKEEL_TRY(gpus, yaml.count("gpus"));
  if (!gpus) return invalid_input(fmt::format("{}: key 'gpus' is missing; give the number of GPUs", path.string()));
  cluster.gpus = *gpus;
  EVENKEEL_TRY(nodes, yaml.count("nodes"));
  cluster.nodes = nodes.value_or(1);
  EVENKEEL_TRY_STATUS(read_link(yaml, "intra_node", cluster.intra_node));
  EVENKEEL_TRY_STATUS(read_link(yaml, "inter_node", cluster.inter_node));
  if (auto status = cluster.validate(); !status) {
    return tl::unexpected(Error{status.error().code, fmt::format("{}: {}", path.string(), status.error().message)});
  }
  return cluster;
}

}  // namespace evenkeel
