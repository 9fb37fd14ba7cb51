#include "pipeline/trace/trace.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <numeric>

#include "partition/model/check.h"
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

/// Same models may show different largest ids in different files; loads-only tables must agree as they are.
Status check_experts(const Trace& all, const std::string& path) {
  for (const LoadWindow& window : all.load_windows) {
    if (window.load_tokens.cols() != all.shape.experts) {
      return invalid_input(
          fmt::format("{}: it counts {} experts but another input counts {}; give recordings of one model", path,
                      window.load_tokens.cols(), all.shape.experts));
    }
  }
  return {};
}

}  // namespace

Result<Trace> read_trace(const std::filesystem::path& path, const ReadOptions& options) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return invalid_input(
        fmt::format("{}: it is a folder; give a native NPZ trace or SGLang's JSON counts", path.string()));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return invalid_input(
        fmt::format("{}: it cannot be read ({}); check the path", path.string(), std::strerror(errno)));
  std::array<char, 64> head{};
  in.read(head.data(), head.size());
  const std::string_view start(head.data(), static_cast<std::size_t>(in.gcount()));
  if (start.starts_with("PK")) return read_npz_trace(path, options);
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && start[first] == '{') return read_sglang_counts(path);
  return invalid_input(fmt::format("{}: its content is {}; give a native NPZ trace or SGLang's JSON counts",
                                   path.string(), start.empty() ? "empty" : "of no known trace format"));
}

Result<Trace> read_traces(const std::vector<std::filesystem::path>& paths, const ReadOptions& options) {
  EVENKEEL_CHECK(!paths.empty(), "the command line asks for at least one trace");
  EVENKEEL_TRY(all, read_trace(paths.front(), options));
  for (std::size_t i = 1; i < paths.size(); ++i) {
    EVENKEEL_TRY(next, read_trace(paths[i], options));
    EVENKEEL_TRY_STATUS(check_same_model(all, next, paths.front().string(), paths[i].string()));
    append(next, all);
    EVENKEEL_TRY_STATUS(check_experts(all, paths[i].string()));
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
