#pragma once

#include <nlohmann/json.hpp>

#include "partition/model/cluster.h"
#include "partition/model/objective.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/solve_arguments.h"

namespace evenkeel {

/// Options as the scores JSON records them; `solve` is null where nothing is solved.
[[nodiscard]] nlohmann::ordered_json options_json(const InputArguments& input, const Cluster& cluster,
                                                  const ModelArguments& model, Comm comm, const SolveArguments* solve);

}  // namespace evenkeel
