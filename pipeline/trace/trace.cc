#include "pipeline/trace/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <numeric>

#include "partition/model/check.h"
#include "pipeline/trace/json_file.h"
#include "pipeline/trace/npz_trace.h"
#include "pipeline/trace/sglang_counts.h"

namespace evenkeel {
namespace {

Status check_same_model(const Trace& first, const Trace& next, const std::string& first_path, const std::string& path) {
  if (first.paths.empty() != next.paths.empty()) {
    return invalid_input(fmt::format("{}: it has {} but {} has {}; give recordings of one kind", path,
                                     next.paths.empty() ? "loads only" : "token paths", first_path,
                                     first.paths.empty() ? "loads only" : "token paths"));
  }
  if (first.paths.empty() && first.shape.experts != next.shape.experts) {
    return invalid_input(fmt::format("{}: it counts {} experts but {} counts {}; give recordings of one model", path,
                                     next.shape.experts, first_path, first.shape.experts));
  }
  if (first.shape.layer_ids != next.shape.layer_ids || first.paths.layer_of_round != next.paths.layer_of_round ||
      first.paths.top_k != next.paths.top_k) {
    return invalid_input(
        fmt::format("{}: its layers or top-k differ from {}; give recordings of one model", path, first_path));
  }
  return {};
}

void append(const Trace& next, Trace& all) {
  const std::size_t tokens = all.paths.tokens();
  const std::uint32_t windows =
      all.window_of_sequence.empty()
          ? 0
          : *std::max_element(all.window_of_sequence.begin(), all.window_of_sequence.end()) + 1;
  all.shape.experts = std::max(all.shape.experts, next.shape.experts);
  if (!all.paths.empty() && all.window_of_sequence.size() == all.sequences() &&
      next.window_of_sequence.size() == next.sequences()) {
    for (const std::uint32_t window : next.window_of_sequence) all.window_of_sequence.push_back(windows + window);
  } else {
    all.window_of_sequence.clear();
  }
  if (all.stage_of_sequence.empty() != next.stage_of_sequence.empty()) {
    all.stage_of_sequence.resize(all.sequences(), "mixed");
  }
  all.stage_of_sequence.insert(all.stage_of_sequence.end(), next.stage_of_sequence.begin(),
                               next.stage_of_sequence.end());
  all.paths.experts.insert(all.paths.experts.end(), next.paths.experts.begin(), next.paths.experts.end());
  for (std::size_t i = 1; i < next.paths.sequence_start.size(); ++i) {
    all.paths.sequence_start.push_back(tokens + next.paths.sequence_start[i]);
  }
  if (!all.stage_of_sequence.empty()) all.stage_of_sequence.resize(all.sequences(), "mixed");
  all.load_windows.insert(all.load_windows.end(), next.load_windows.begin(), next.load_windows.end());
}

/// One file as it is, dense layers included.
Result<Trace> read_recording(const std::filesystem::path& path, const ReadOptions& options) {
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> head{};
  in.read(head.data(), head.size());
  const std::string_view start(head.data(), static_cast<std::size_t>(in.gcount()));
  if (start.starts_with("PK")) return read_npz_trace(path, options);
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && start[first] == '{') return read_sglang_counts(path, options);
  return invalid_input(fmt::format("{}: its content is {}; give a native NPZ trace or SGLang's JSON counts",
                                   path.string(), start.empty() ? "empty" : "of no known trace format"));
}

std::vector<bool> loaded_layers(const Trace& trace) {
  std::vector<bool> is_loaded(trace.shape.layers(), false);
  for (const LoadWindow& window : trace.load_windows) {
    for (std::size_t layer = 0; layer < is_loaded.size(); ++layer) {
      if (std::ranges::any_of(window.load_tokens[layer], [](auto tokens) { return tokens > 0; }))
        is_loaded[layer] = true;
    }
  }
  for (std::size_t i = 0; i < trace.paths.experts.size(); ++i) {
    if (trace.paths.experts[i] != kNoExpert) {
      is_loaded[trace.paths.layer_of_round[i / trace.paths.top_k % trace.paths.rounds()]] = true;
    }
  }
  return is_loaded;
}

/// Leaves out the rounds whose layer does not stay.
void drop_rounds(const std::vector<bool>& stays, const std::vector<std::uint32_t>& new_row, TokenPaths& paths) {
  TokenPaths kept{paths.top_k, {}, {}, paths.sequence_start};
  for (const std::uint32_t layer : paths.layer_of_round) {
    if (stays[layer]) kept.layer_of_round.push_back(new_row[layer]);
  }
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    for (std::size_t round = 0; round < paths.rounds(); ++round) {
      if (!stays[paths.layer_of_round[round]]) continue;
      const auto chosen = paths.chosen(token, round);
      kept.experts.insert(kept.experts.end(), chosen.begin(), chosen.end());
    }
  }
  paths = std::move(kept);
}

/// A layer without load in any window is dense: it has no row in a placement.
void drop_dense_layers(Trace& trace) {
  const std::vector<bool> stays = loaded_layers(trace);
  if (std::ranges::find(stays, false) == stays.end()) return;
  std::vector<std::uint32_t> new_row(stays.size(), 0);
  std::vector<int> layer_ids;
  for (std::size_t layer = 0; layer < stays.size(); ++layer) {
    new_row[layer] = static_cast<std::uint32_t>(layer_ids.size());
    if (stays[layer]) layer_ids.push_back(trace.shape.layer_ids[layer]);
  }
  for (LoadWindow& window : trace.load_windows) {
    Grid<std::uint64_t> kept(layer_ids.size(), trace.shape.experts);
    for (std::size_t layer = 0; layer < stays.size(); ++layer) {
      if (stays[layer]) std::ranges::copy(window.load_tokens[layer], kept[new_row[layer]].begin());
    }
    window.load_tokens = std::move(kept);
  }
  if (!trace.paths.empty()) drop_rounds(stays, new_row, trace.paths);
  if (!trace.shape.hidden_layers)
    trace.shape.hidden_layers = static_cast<std::size_t>(trace.shape.layer_ids.back()) + 1;
  trace.shape.layer_ids = std::move(layer_ids);
}

}  // namespace

Result<Trace> read_trace(const std::filesystem::path& path, const ReadOptions& options) {
  return read_traces({path}, options);
}

Result<Trace> read_traces(const std::vector<std::filesystem::path>& paths, const ReadOptions& options) {
  EVENKEEL_CHECK(!paths.empty(), "the command line asks for at least one trace");
  EVENKEEL_TRY(all, read_recording(paths.front(), options));
  for (std::size_t i = 1; i < paths.size(); ++i) {
    EVENKEEL_TRY(next, read_recording(paths[i], options));
    EVENKEEL_TRY_STATUS(check_same_model(all, next, paths.front().string(), paths[i].string()));
    append(next, all);
  }
  drop_dense_layers(all);
  if (all.shape.layer_ids.empty()) {
    return invalid_input(fmt::format("{}: no layer has any load; record some traffic first", paths.front().string()));
  }
  return std::move(all);
}

RoutingProfile profile_of(const Trace& trace, const std::vector<std::size_t>& sequences) {
  if (trace.paths.empty()) {
    RoutingProfile loads{trace.shape, {}, {}};
    for (const std::size_t window : sequences) loads.windows.push_back(trace.load_windows[window]);
    return loads;
  }
  const TokenPaths& all = trace.paths;
  TokenPaths paths{all.top_k, all.layer_of_round, {}, {0}};
  Grid<std::uint64_t> load(trace.shape.layers(), trace.shape.experts);
  const std::size_t token_size = all.rounds() * all.top_k;
  for (const std::size_t sequence : sequences) {
    const auto begin = all.experts.begin() + static_cast<std::ptrdiff_t>(all.sequence_start[sequence] * token_size);
    const auto end = all.experts.begin() + static_cast<std::ptrdiff_t>(all.sequence_start[sequence + 1] * token_size);
    paths.experts.insert(paths.experts.end(), begin, end);
    paths.sequence_start.push_back(paths.experts.size() / token_size);
  }
  for (std::size_t i = 0; i < paths.experts.size(); ++i) {
    if (const ExpertIndex expert = paths.experts[i]; expert != kNoExpert) {
      ++load(paths.layer_of_round[i / paths.top_k % paths.rounds()], expert);
    }
  }
  RoutingProfile profile{trace.shape, {}, std::move(paths)};
  profile.windows.push_back({std::move(load), "mixed"});
  return profile;
}

RoutingProfile profile_of(const Trace& trace) {
  std::vector<std::size_t> every(trace.sequences());
  std::iota(every.begin(), every.end(), std::size_t{0});
  return profile_of(trace, every);
}

}  // namespace evenkeel
