#include "pipeline/cli/recorded_options.h"

#include "pipeline/cli/option_values.h"
#include "pipeline/engine/layer_ranges.h"

namespace evenkeel {

nlohmann::ordered_json options_json(const InputArguments& input, const Cluster& cluster, const ModelArguments& model,
                                    Comm comm, const SolveArguments* solve) {
  nlohmann::ordered_json json{{"traces", nlohmann::ordered_json::array()}};
  for (const auto& path : input.traces) json["traces"].push_back(path.string());
  json["gpus"] = cluster.gpus;
  json["nodes"] = cluster.nodes;
  json["comm"] = name_of(comm_names(), comm);
  if (model.spec) json["model"] = model.spec->name;
  if (input.layer_ids) json["layer_ids"] = layer_ranges_text(*input.layer_ids);
  json["batch_tokens"] = model.batch_tokens;
  if (solve == nullptr) return json;
  const ProblemOptions& problem = solve->options.problem;
  const Effort& effort = solve->options.effort;
  json["redundant"] = problem.redundant;
  json["split"] = name_of(split_names(), problem.split);
  json["survive"] = problem.survive;
  json["groups"] = solve->groups_of(model.spec);
  json["slack"] = solve->slack ? nlohmann::ordered_json(*solve->slack) : nlohmann::ordered_json("auto");
  json["time_seconds"] = solve->time_for(cluster).count();
  if (effort.work_units) json["work"] = *effort.work_units;
  json["seed"] = effort.seed;
  json["objective"] = objective_text(problem.objective.weighted);
  json["windows"] = solve->windows.value_or(1);
  json["robust"] = robust_text(problem.robust.value_or(Robust{}));
  const auto without = names_of(solve->options.diagnostics.without);
  if (!without.empty()) json["without"] = without;
  return json;
}

}  // namespace evenkeel
