#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/foundation/result.h"
#include "partition/model/placement.h"

namespace evenkeel {

/// What a placement's file may lack. What the file says itself wins.
struct PlacementHints {
  /// Absolute numbers of the MoE layers, ascending; empty: not known.
  std::vector<int> layer_ids;
  /// Absent: the largest expert in the file + 1.
  std::optional<std::size_t> experts;
  std::optional<std::size_t> gpus;
  std::size_t nodes = 1;
  /// All layers of the model, dense ones included: rows that a map with one for each has.
  std::optional<std::size_t> hidden_layers = {};
};

/// What a user should know of a result that is good, a line.
struct Note {
  std::string text;
  /// Options that change it, as Error::fields.
  std::vector<std::string> fields = {};
};

/// A placement as a file has it.
struct PlacementFile {
  Placement placement;
  /// Rows of a file that has one for every hidden layer.
  std::optional<std::size_t> hidden_layers;
  /// What was guessed or left out.
  std::vector<Note> notes;
};

/// What every engine's file comes down to: a row of experts a layer, equally many slots on every GPU.
struct EngineMap {
  std::vector<int> layer_ids;
  Grid<ExpertIndex> rows;
  /// Absent where the format lacks it.
  std::optional<std::size_t> gpus;
  std::optional<std::size_t> hidden_layers;
  std::vector<Note> notes;
};

/// The placement that a map is. Fails with kInvalidInput where slots do not divide over the GPUs, no number of GPUs is
/// known, or an expert has no slot.
[[nodiscard]] Result<PlacementFile> placement_of(EngineMap map, const PlacementHints& hints, const std::string& path);

/// Numbers of the layers of a file whose `rows` MoE layers count from 0: those of the hints, which must be as many,
/// else 0, 1, ... Fails with kInvalidInput.
[[nodiscard]] Result<std::vector<int>> layers_from_zero(std::size_t rows, const PlacementHints& hints,
                                                        const std::string& path);

/// Fails with kInfeasible where GPUs have unequal slots, which no engine takes.
[[nodiscard]] Status check_equal_slots(const Placement& placement, const char* engine);

}  // namespace evenkeel
