#include "pipeline/inspect/trace_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

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

void add_load(const Grid<std::uint64_t>& load_tokens, Grid<std::uint64_t>& sum) {
  std::ranges::transform(sum.cells(), load_tokens.cells(), sum.cells().begin(), std::plus<>());
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
    for (const LoadWindow& window : trace.load_windows) {
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
  if (trace.load_windows.empty()) return parts_by_label(trace, trace.stage_of_sequence, PartSource::kMarked);
  std::map<std::string, Grid<std::uint64_t>> load_of_stage;
  for (const LoadWindow& window : trace.load_windows) {
    const auto [entry, is_new] = load_of_stage.try_emplace(window.stage, window.load_tokens);
    if (!is_new) add_load(window.load_tokens, entry->second);
  }
  if (load_of_stage.size() < 2) return std::nullopt;
  TraceParts stages{PartSource::kLoads, {}, {}, {}};
  for (auto& [stage, load_tokens] : load_of_stage) {
    stages.names.push_back(stage);
    stages.load_tokens.push_back(std::move(load_tokens));
  }
  return stages;
}

}  // namespace evenkeel
