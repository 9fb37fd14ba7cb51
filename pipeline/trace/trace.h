#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/routing_profile.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// A recording of routing decisions in memory: token paths with a label a sequence; or windows of loads, with or
/// without a sample of token paths.
struct Trace {
  ModelShape shape;
  /// Every token of the recording, or beside loads a sample of them; empty for loads-only input.
  TokenPaths paths;
  /// Window of each sequence [sequences], beside loads an index into them; empty where the input has none.
  std::vector<std::uint32_t> window_of_sequence;
  /// Stage of each sequence [sequences]; empty where the input has none.
  std::vector<Stage> stage_of_sequence;
  /// Loads, one entry a window. Empty where the token paths are all of the traffic (loads derive from them).
  std::vector<StageLoad> load_windows;
  /// One token in so many is among the token paths.
  std::uint64_t paths_one_in = 1;
  /// Layers without load anywhere in the recording that nothing names MoE layers, by number, ascending. read_traces()
  /// takes them as dense; a profile keeps their rows, for another recording may have load there.
  std::vector<int> undecided_layers = {};
  /// Experts a token chooses in a round, where loads alone are known and the recording tells.
  std::optional<std::size_t> experts_per_token = {};

  /// What a hold-out splits: sequences, or windows where there are loads.
  [[nodiscard]] std::size_t parts() const { return load_windows.empty() ? paths.sequences() : load_windows.size(); }
};

/// Reads one recording (read_recordings()) into memory. Fails with kInvalidInput, also where its token paths need more
/// than 2 GiB.
[[nodiscard]] Result<Trace> read_trace(const std::filesystem::path& path, const ReadOptions& options = {});

/// Several recordings of one model as one, in the order given, without their undecided layers. Fails with kInvalidInput
/// where shapes differ or no layer has load.
[[nodiscard]] Result<Trace> read_traces(const std::vector<std::filesystem::path>& paths,
                                        const ReadOptions& options = {});

/// Numbers of the layers without load in any of the trace's windows, ascending.
[[nodiscard]] std::vector<int> unloaded_layers(const Trace& trace);

/// Fails with kInvalidInput, naming `path`, where no layer has load.
[[nodiscard]] Status check_loaded(const Trace& trace, const std::string& path);

/// Which of a trace's traffic is looked at.
struct Selection {
  /// Windows left out at the start.
  std::size_t skip_windows = 0;
  /// Only traffic of this stage.
  std::optional<Stage> stage = {};
  /// Only the MoE layers among these, by absolute number, ascending; empty: all.
  std::vector<std::size_t> layers = {};
};

/// Leaves the rest out; windows keep their order, and MoE layers stay, with or without load in what is left. Fails with
/// kInvalidInput, naming `path`, where windows are to be skipped of a trace without, or no load is left.
[[nodiscard]] Status select(const Selection& selection, Trace& trace, const std::string& path);

/// The given parts (ascending numbers) as a routing profile: sequences are added up into `windows` windows (at least
/// 1), the i-th of n into window floor(i windows / n), with their token paths; where there are loads their windows stay
/// as they are, with the token paths sampled in them.
[[nodiscard]] RoutingProfile profile_of(const Trace& trace, const std::vector<std::size_t>& parts,
                                        std::size_t windows = 1);
/// As above, of the whole trace. Token paths are large: they are moved, not copied, out of a trace that is no longer
/// needed.
[[nodiscard]] RoutingProfile profile_of(Trace trace, std::size_t windows = 1);
/// The same without its token paths.
[[nodiscard]] RoutingProfile loads_of(const Trace& trace, std::size_t windows = 1);

}  // namespace evenkeel
