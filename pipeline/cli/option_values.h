#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/objective.h"
#include "partition/model/robust.h"
#include "partition/place.h"
#include "pipeline/cli/parsed_option.h"
#include "pipeline/engine/placement_file.h"

namespace evenkeel {

/// Each parses the text given to `flag`. Fails with kInvalidInput: the message names the flag, the text and what is
/// accepted.

/// A duration such as 500ms, 10s, 2m or 1h; a bare number is seconds.
[[nodiscard]] Result<std::chrono::duration<double>> parse_duration(const std::string& flag, const std::string& text);

/// A slack such as 0.02; none for "auto".
[[nodiscard]] Result<std::optional<double>> parse_slack(const std::string& flag, const std::string& text);

/// The measure "mean", "max" or "cvar:Q".
[[nodiscard]] Result<Robust> parse_robust(const std::string& flag, const std::string& text);
/// A measure as it is given.
[[nodiscard]] std::string robust_text(const Robust& robust);

/// Weights of the objective "weighted:A,B"; absent for "lexicographic".
[[nodiscard]] Result<std::optional<CommWeights>> parse_objective(const std::string& flag, const std::string& text);
/// An objective as it is given.
[[nodiscard]] std::string objective_text(const std::optional<CommWeights>& weights);

/// The message names the nearest strategy.
[[nodiscard]] Result<Strategy> parse_strategy(const std::string& flag, const std::string& name);
/// Names of all strategies, with commas.
[[nodiscard]] std::string strategy_names();

[[nodiscard]] const ValueNames<Comm>& comm_names();
[[nodiscard]] const ValueNames<ReplicaSplit>& split_names();
[[nodiscard]] const ValueNames<PlacementFormat>& format_names();

}  // namespace evenkeel
