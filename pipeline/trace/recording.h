#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/foundation/stage.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// What a recording says before its data.
struct RecordingHeader {
  /// Numbers of the layers it holds, ascending; dense ones may be among them, without load.
  std::vector<int> layer_ids;
  /// All layers of the model, where the recording tells.
  std::optional<std::size_t> hidden_layers;
  /// Experts of a layer, where the recording tells; always given with loads.
  std::optional<std::size_t> experts;
  /// Experts a token chooses in a round; 0: there are no token paths.
  std::size_t top_k = 0;
  /// Index into layer_ids of each round of a token path [rounds].
  std::vector<std::uint32_t> layer_of_round;
  /// Loads come as windows of their own. With token paths beside them these are a sample of the traffic; without
  /// windows the token paths are all of it.
  bool has_loads = false;
  /// One token in so many is among the token paths; a power of two, above 1 only beside loads.
  std::uint64_t paths_one_in = 1;
  /// Those of layer_ids that are MoE layers whatever their load, ascending: the file or the options say so. A layer
  /// beside these is one where it has load.
  std::vector<int> moe_layer_ids = {};
  /// Experts a token chooses in a round where there are no token paths, if the recording tells.
  std::optional<std::size_t> experts_per_token = {};
};

/// How a recording is to be read; what it does not say itself.
struct ReadOptions {
  /// Experts of a layer; absent: as the recording says, or the largest id seen + 1.
  std::optional<std::size_t> experts = {};
  /// Name of the model that all below is known from, for messages; empty: none is known.
  std::string model = {};
  /// Zero-compute experts that follow the real ones: ids experts .. experts + null_experts - 1 are "no expert".
  std::size_t null_experts = 0;
  /// Numbers of the model's MoE layers, ascending; empty: not known. Where they are known, sinks get their rows alone.
  std::vector<int> moe_layer_ids = {};
  /// All layers of the model, dense ones included.
  std::optional<std::size_t> hidden_layers = {};
  /// Routing decisions a layer takes, one row of the recording each.
  std::size_t rounds_per_layer = 1;
  /// Holds each recording's header against what is known, by its path; a failure ends the reading.
  std::function<Status(const std::string& path, const RecordingHeader& header)> check = {};
  /// Told what a user should know of a recording that is read: what was guessed, taken as missing or left out, a line.
  std::function<void(const std::string& text)> note = {};
  /// Told now and then what share [0, 1] of the recordings is read.
  std::function<void(double)> progress = {};
};

/// What is known of the tokens that follow.
struct SequenceLabel {
  /// Number of the window; beside loads, which of them (from 0, in the order they came).
  std::optional<std::uint32_t> window;
  /// Absent: not known.
  std::optional<Stage> stage;
  /// When it was recorded.
  std::optional<double> seconds;
};

/// Receives recordings piece by piece, so that they need not fit into memory. A failure that it returns ends the
/// reading and is handed on.
class RecordingSink {
 public:
  virtual ~RecordingSink() = default;
  /// Once for each recording, before its data; `path` is for messages.
  virtual Status begin(const std::string& path, const RecordingHeader& header) = 0;
  /// Loads of one window [layers, experts].
  virtual Status loads(StageLoad window) = 0;
  virtual Status begin_sequence(const SequenceLabel& label) = 0;
  /// Whole tokens of the present sequence [tokens, rounds, top_k], as TokenPaths::experts.
  virtual Status tokens(std::span<const ExpertIndex> experts) = 0;
  /// After the last piece of a recording.
  virtual Status end() { return {}; }
};

/// Reads recordings in the order given, each recognised by its content (docs/reference/formats.md has the list).
/// Per-rank files of one SGLang run count as one recording. What was not recorded is told from what was (NotRecorded).
/// Memory: bounded, whatever the size of the files.
/// Fails with kInvalidInput; the message names file, field, value and remedy.
[[nodiscard]] Status read_recordings(const std::vector<std::filesystem::path>& paths, const ReadOptions& options,
                                     RecordingSink& sink);

/// Fails with kInvalidInput, naming both paths, where two recordings cannot be of one model or are not of one kind.
[[nodiscard]] Status check_same_model(const RecordingHeader& first, const RecordingHeader& next,
                                      const std::string& first_path, const std::string& path);

/// The layer each of `rows` rows without numbers belongs to, none for a dense one: row i is hidden layer i, unless the
/// options know the model and there are as many rows as MoE layers (times rounds). Fails with kInvalidInput, naming
/// `where`, if the rows fit the model neither way.
[[nodiscard]] Result<std::vector<std::optional<int>>> layers_of_rows(std::size_t rows, const ReadOptions& options,
                                                                     const std::string& where);

}  // namespace evenkeel
