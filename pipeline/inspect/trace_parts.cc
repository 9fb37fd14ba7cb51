#include "pipeline/inspect/trace_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace evenkeel {
namespace {

/// Numbers the labels in ascending order, from 0.
template <class Label>
std::map<Label, std::uint32_t> numbered(const std::vector<Label>& labels) {
  std::map<Label, std::uint32_t> number_of;
  for (const Label& label : labels) number_of.emplace(label, 0);
  std::uint32_t next = 0;
  for (auto& [label, number] : number_of) number = next++;
  return number_of;
}

/// Parts by a label a sequence; absent where all are the same.
template <class Label>
std::optional<TraceParts> parts_by_label(const Trace& trace, const std::vector<Label>& labels, PartSource source) {
  const auto number_of = numbered(labels);
  if (number_of.size() < 2) return std::nullopt;
  TraceParts parts;
  parts.source = source;
  for (const auto& [label, number] : number_of) parts.names.push_back(fmt::format("{}", label));
  for (const Label& label : labels) parts.part_of_sequence.push_back(number_of.at(label));
  parts.load_tokens = loads_of_parts(trace, parts.part_of_sequence, parts.size());
  return parts;
}

}  // namespace

std::vector<Grid<std::uint64_t>> loads_of_parts(const Trace& trace, const std::vector<std::uint32_t>& part_of_sequence,
                                                std::size_t parts) {
  const TokenPaths& paths = trace.paths;
  std::vector<Grid<std::uint64_t>> loads(parts, Grid<std::uint64_t>(trace.shape.layers(), trace.shape.experts));
  for (std::size_t sequence = 0; sequence < paths.sequences(); ++sequence) {
    Grid<std::uint64_t>& load = loads[part_of_sequence[sequence]];
    for (std::size_t token = paths.sequence_start[sequence]; token < paths.sequence_start[sequence + 1]; ++token) {
      for (std::size_t round = 0; round < paths.rounds(); ++round) {
        const auto row = load[paths.layer_of_round[round]];
        for (const ExpertIndex expert : paths.chosen(token, round)) {
          if (expert != kNoExpert) ++row[expert];
        }
      }
    }
  }
  return loads;
}

std::optional<TraceParts> windows_of(const Trace& trace, std::size_t parts) {
  if (!trace.load_windows.empty()) {
    if (trace.load_windows.size() < 2) return std::nullopt;
    TraceParts windows{PartSource::kLoads, {}, {}, {}};
    for (const StageLoad& window : trace.load_windows) {
      windows.names.push_back(fmt::format("{}", windows.size()));
      windows.load_tokens.push_back(window.load_tokens);
    }
    return windows;
  }
  if (auto marked = parts_by_label(trace, trace.window_of_sequence, PartSource::kMarked)) return marked;
  const std::size_t sequences = trace.paths.sequences();
  parts = std::min(parts, sequences);
  std::vector<std::uint32_t> part_of_sequence;
  for (std::size_t i = 0; i < sequences; ++i) {
    part_of_sequence.push_back(static_cast<std::uint32_t>(i * parts / sequences));
  }
  return parts_by_label(trace, part_of_sequence, PartSource::kSequences);
}

std::optional<TraceParts> stages_of(const Trace& trace) {
  if (trace.load_windows.empty()) {
    std::vector<std::string_view> names(trace.stage_of_sequence.size());
    std::ranges::transform(trace.stage_of_sequence, names.begin(), stage_name);
    return parts_by_label(trace, names, PartSource::kMarked);
  }
  std::vector<StageLoad> load_of_stage;
  add_by_stage(load_of_stage, trace.load_windows);
  if (load_of_stage.size() < 2) return std::nullopt;
  TraceParts stages{PartSource::kLoads, {}, {}, {}};
  for (StageLoad& load : load_of_stage) {
    stages.names.emplace_back(stage_name(load.stage));
    stages.load_tokens.push_back(std::move(load.load_tokens));
  }
  return stages;
}

}  // namespace evenkeel
