#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/result.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// A recording of routing decisions as it was read: token paths with a label a sequence, or loads alone.
struct Trace {
  ModelShape shape;
  /// Every token of the recording; empty for loads-only input.
  TokenPaths paths;
  /// Window of each sequence [sequences]; empty where the input has none.
  std::vector<std::uint32_t> window_of_sequence;
  /// Stage of each sequence [sequences], "prefill", "decode" or "mixed"; empty where the input has none.
  std::vector<std::string> stage_of_sequence;
  /// Loads-only input: one entry a window. Empty where there are token paths (loads derive from them).
  std::vector<LoadWindow> load_windows;

  /// What a hold-out splits: sequences, or windows where there are loads alone.
  [[nodiscard]] std::size_t sequences() const { return paths.empty() ? load_windows.size() : paths.sequences(); }
};

struct ReadOptions {
  /// Experts of a layer, for traces that do not state it; absent: the largest id seen + 1.
  std::optional<std::size_t> experts;
};

/// Reads one recording, recognised by content: native NPZ, or SGLang's JSON counts.
/// Fails with kInvalidInput; the message names file, field, value and remedy.
[[nodiscard]] Result<Trace> read_trace(const std::filesystem::path& path, const ReadOptions& options = {});

/// Several recordings of one model as one, in the order given. Fails with kInvalidInput where shapes differ.
[[nodiscard]] Result<Trace> read_traces(const std::vector<std::filesystem::path>& paths,
                                        const ReadOptions& options = {});

/// Adds up the given sequences (ascending numbers) into a routing profile of one window, with their token paths; of a
/// loads-only trace the given windows as they are.
[[nodiscard]] RoutingProfile profile_of(const Trace& trace, const std::vector<std::size_t>& sequences);
/// As above, of the whole trace.
[[nodiscard]] RoutingProfile profile_of(const Trace& trace);

}  // namespace evenkeel
