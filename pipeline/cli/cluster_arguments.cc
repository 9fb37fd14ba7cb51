#include "pipeline/cli/cluster_arguments.h"

#include <algorithm>
#include <utility>

#include "pipeline/cli/command_error.h"
#include "pipeline/config/bundled_files.h"
#include "pipeline/flags/setting.h"

namespace evenkeel {

void ClusterArguments::add_to(CLI::App& command) {
  command_ = &command;
  add_setting(command, "--cluster", file,
              "YAML file of the cluster (docs/reference/config.md), or hardware whose number --gpus and --nodes say: " +
                  CLI::detail::join(hardware_names(), ", "));
  add_setting(command, "--ep-group", group, "The group of the cluster file, where it has several");
  add_setting(command, "--gpus", gpus, "GPUs, instead of a cluster file");
  add_setting(command, "--nodes", nodes, "Nodes the GPUs are spread over; default 1");
}

bool ClusterArguments::is_flag_given(const char* flag) const {
  const auto& given = command_->parse_order();
  return std::ranges::find(given, command_->get_option(flag)) != given.end();
}

EpGroup ClusterArguments::sized(Cluster cluster) const {
  cluster.gpus = gpus.value_or(cluster.gpus);
  cluster.nodes = nodes.value_or(cluster.nodes);
  ok_or_exit(cluster.validate());
  return {"", std::move(cluster), {}, std::nullopt};
}

std::vector<EpGroup> ClusterArguments::read_groups() const {
  if (file && !is_path(*file)) {
    std::vector<EpGroup> groups = value_or_exit(read_cluster(*file));
    return group_of({sized(std::move(groups.front().cluster))});
  }
  const bool has_file_flag = is_flag_given("--cluster");
  const bool has_count_flag = is_flag_given("--gpus") || is_flag_given("--nodes");
  const bool on_one_level = has_file_flag == has_count_flag;
  if (on_one_level && file && (gpus || nodes)) {
    refuse("both a cluster file and --gpus or --nodes are given; give one or the other");
  }
  if (file && !has_count_flag) return group_of(value_or_exit(read_cluster(*file)));
  if (group) refuse("--ep-group names a group of a cluster file; give --cluster");
  if (!gpus) refuse("no cluster is given; pass --gpus N [--nodes M] or --cluster FILE");
  return {sized({})};
}

std::vector<EpGroup> ClusterArguments::group_of(std::vector<EpGroup> groups) const {
  if (!group) return groups;
  return {value_or_exit(named_group(groups, *file, *group))};
}

EpGroup ClusterArguments::read() const {
  // Without a file there is one.
  return value_or_exit(only_group(read_groups(), file.value_or("")));
}

}  // namespace evenkeel
