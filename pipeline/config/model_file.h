#pragma once

#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/model_spec.h"

namespace evenkeel {

/// Names of the models that come with the program, ascending.
[[nodiscard]] std::vector<std::string> bundled_model_names();

/// Reads a model file (docs/reference/config.md). `path_or_name` is a path where it has a slash or ends in .yaml, else
/// the name of a bundled model. Fails with kInvalidInput, naming file, key, value and remedy, or the nearest name.
[[nodiscard]] Result<ModelSpec> read_model(const std::string& path_or_name);

}  // namespace evenkeel
