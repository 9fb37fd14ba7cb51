#include "pipeline/trace/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace evenkeel {
namespace {

/// Above this a trace is to be made a profile first, which is read in pieces.
constexpr std::size_t kPathBytesMax = std::size_t{2} << 30;
constexpr std::size_t kLoadBytesMax = std::size_t{2} << 30;

/// Ends with the first traffic that leaves no layer out, which recordings of any length start with.
std::vector<bool> loaded_layers(const Trace& trace) {
  std::vector<bool> is_loaded(trace.shape.layers(), false);
  std::size_t missing = is_loaded.size();
  const auto mark = [&](std::size_t layer) {
    if (is_loaded[layer]) return;
    is_loaded[layer] = true;
    --missing;
  };
  for (const StageLoad& window : trace.load_windows) {
    if (missing == 0) return is_loaded;
    for (std::size_t layer = 0; layer < is_loaded.size(); ++layer) {
      if (std::ranges::any_of(window.load_tokens[layer], [](auto tokens) { return tokens > 0; })) mark(layer);
    }
  }
  for (std::size_t i = 0; i < trace.paths.experts.size() && missing > 0; ++i) {
    if (trace.paths.experts[i] != kNoExpert)
      mark(trace.paths.layer_of_round[i / trace.paths.top_k % trace.paths.rounds()]);
  }
  return is_loaded;
}

/// Leaves out the rounds whose layer does not stay. In place: a copy would need the memory once more.
void drop_rounds(const std::vector<bool>& stays, const std::vector<std::uint32_t>& new_row, TokenPaths& paths) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < paths.experts.size(); ++i) {
    const std::size_t round = i / paths.top_k % paths.rounds();
    if (stays[paths.layer_of_round[round]]) paths.experts[kept++] = paths.experts[i];
  }
  paths.experts.resize(kept);
  std::erase_if(paths.layer_of_round, [&](std::uint32_t layer) { return !stays[layer]; });
  for (std::uint32_t& layer : paths.layer_of_round) layer = new_row[layer];
}

/// Leaves out all sequences but these (ascending). In place, as above.
void keep_sequences(const std::vector<std::size_t>& sequences, TokenPaths& paths) {
  const std::size_t token_size = paths.rounds() * paths.top_k;
  std::vector<std::uint64_t> start{0};
  std::size_t kept = 0;
  for (const std::size_t sequence : sequences) {
    const std::size_t end = paths.sequence_start[sequence + 1] * token_size;
    for (std::size_t i = paths.sequence_start[sequence] * token_size; i < end; ++i)
      paths.experts[kept++] = paths.experts[i];
    start.push_back(kept / token_size);
  }
  paths.experts.resize(kept);
  paths.sequence_start = std::move(start);
}

/// The sequences' tokens one after the other.
TokenPaths paths_of(const TokenPaths& all, const std::vector<std::size_t>& sequences) {
  TokenPaths paths{all.top_k, all.layer_of_round, {}, {0}};
  const std::size_t token_size = all.rounds() * all.top_k;
  for (const std::size_t sequence : sequences) {
    const auto begin = all.experts.begin() + static_cast<std::ptrdiff_t>(all.sequence_start[sequence] * token_size);
    const auto end = all.experts.begin() + static_cast<std::ptrdiff_t>(all.sequence_start[sequence + 1] * token_size);
    paths.experts.insert(paths.experts.end(), begin, end);
    paths.sequence_start.push_back(paths.experts.size() / token_size);
  }
  return paths;
}

/// Loads of the sequences, added up into equally many windows.
std::vector<StageLoad> loads_of_paths(const TokenPaths& paths, const ModelShape& shape, std::size_t windows) {
  std::vector<StageLoad> loads(windows, {.load_tokens = Grid<std::uint64_t>(shape.layers(), shape.experts)});
  for (std::size_t sequence = 0; sequence < paths.sequences(); ++sequence) {
    auto& load = loads[sequence * windows / paths.sequences()].load_tokens;
    for (std::size_t token = paths.sequence_start[sequence]; token < paths.sequence_start[sequence + 1]; ++token) {
      for (std::size_t round = 0; round < paths.rounds(); ++round) {
        for (const ExpertIndex expert : paths.chosen(token, round)) {
          if (expert != kNoExpert) ++load(paths.layer_of_round[round], expert);
        }
      }
    }
  }
  return loads;
}

/// Token paths that were sampled in the windows (ascending).
TokenPaths paths_in_windows(const Trace& trace, const std::vector<std::size_t>& windows) {
  std::vector<std::size_t> sequences;
  for (std::size_t sequence = 0; sequence < trace.paths.sequences(); ++sequence) {
    if (std::ranges::binary_search(windows, trace.window_of_sequence[sequence])) sequences.push_back(sequence);
  }
  return paths_of(trace.paths, sequences);
}

/// Leaves out the other layers.
void keep_layers(const std::vector<bool>& stays, Trace& trace) {
  if (std::ranges::find(stays, false) == stays.end()) return;
  std::vector<std::uint32_t> new_row(stays.size(), 0);
  std::vector<int> layer_ids;
  for (std::size_t layer = 0; layer < stays.size(); ++layer) {
    new_row[layer] = static_cast<std::uint32_t>(layer_ids.size());
    if (stays[layer]) layer_ids.push_back(trace.shape.layer_ids[layer]);
  }
  for (StageLoad& window : trace.load_windows) {
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

/// Leaves out all layers but those with these numbers (ascending).
Status select_layers(const std::vector<std::size_t>& layers, Trace& trace, const std::string& path) {
  std::vector<bool> stays(trace.shape.layers(), false);
  for (std::size_t row = 0; row < stays.size(); ++row)
    stays[row] = std::ranges::binary_search(layers, static_cast<std::size_t>(trace.shape.layer_ids[row]));
  if (std::ranges::find(stays, true) == stays.end()) {
    return invalid_input(fmt::format("{}: none of its MoE layers is among those asked for; give layers from {} to {}",
                                     path, trace.shape.layer_ids.front(), trace.shape.layer_ids.back()));
  }
  keep_layers(stays, trace);
  return {};
}

void drop_undecided_layers(Trace& trace) {
  std::vector<bool> stays;
  for (const int layer : trace.shape.layer_ids)
    stays.push_back(!std::ranges::binary_search(trace.undecided_layers, layer));
  keep_layers(stays, trace);
}

/// Keeps all of it.
class TraceCollector : public RecordingSink {
 public:
  Status begin(const std::string& path, const RecordingHeader& header) override {
    path_ = path;
    if (first_path_.empty()) {
      first_path_ = path;
      first_ = header;
      trace_.shape.layer_ids = header.layer_ids;
      trace_.paths.top_k = header.top_k;
      trace_.experts_per_token = header.experts_per_token;
      if (header.top_k > 0) trace_.paths.layer_of_round = header.layer_of_round;
      trace_.paths_one_in = header.paths_one_in;
    }
    EVENKEEL_TRY_STATUS(check_same_model(first_, header, first_path_, path));
    if (first_.paths_one_in != header.paths_one_in) {
      return invalid_input(
          fmt::format("{}: it samples one token in {} but {} one in {}; merge them with evenkeel profile", path,
                      header.paths_one_in, first_path_, first_.paths_one_in));
    }
    moe_layers_.insert(header.moe_layer_ids.begin(), header.moe_layer_ids.end());
    if (!trace_.shape.hidden_layers) trace_.shape.hidden_layers = header.hidden_layers;
    trace_.shape.experts = std::max(trace_.shape.experts, header.experts.value_or(0));
    are_experts_stated_ = are_experts_stated_ && header.experts.has_value();
    first_window_ = next_window_;
    if (header.has_loads) first_window_ = static_cast<std::uint32_t>(trace_.load_windows.size());
    return {};
  }

  Status loads(StageLoad window) override {
    load_bytes_ += window.load_tokens.cells().size_bytes();
    if (load_bytes_ > kLoadBytesMax) {
      return invalid_input(
          fmt::format("{}: its windows of loads need more than {} GiB; make a profile of fewer windows first", path_,
                      kLoadBytesMax >> 30),
          {"window_sequences"});
    }
    trace_.load_windows.push_back(std::move(window));
    return {};
  }

  Status begin_sequence(const SequenceLabel& label) override {
    trace_.paths.sequence_start.push_back(trace_.paths.tokens());
    has_window_.push_back(label.window.has_value() || first_.has_loads);
    const std::uint32_t window = first_window_ + label.window.value_or(0);
    trace_.window_of_sequence.push_back(window);
    next_window_ = std::max(next_window_, window + 1);
    is_staged_ = is_staged_ || label.stage.has_value();
    trace_.stage_of_sequence.push_back(label.stage.value_or(Stage::kMixed));
    return {};
  }

  Status tokens(std::span<const ExpertIndex> experts) override {
    auto& all = trace_.paths.experts;
    if ((all.size() + experts.size()) * sizeof(ExpertIndex) > kPathBytesMax) {
      return invalid_input(fmt::format(
          "{}: its token paths need more than {} GiB; make a profile with evenkeel profile first and give that", path_,
          kPathBytesMax >> 30));
    }
    all.insert(all.end(), experts.begin(), experts.end());
    return {};
  }

  Result<Trace> finish() {
    if (!are_experts_stated_) trace_.shape.experts = std::max(trace_.shape.experts, largest_expert() + 1);
    if (first_.top_k > 0) trace_.paths.sequence_start.push_back(trace_.paths.tokens());
    // A window of some sequences only would be none of all.
    if (std::ranges::find(has_window_, false) != has_window_.end()) trace_.window_of_sequence.clear();
    if (!is_staged_) trace_.stage_of_sequence.clear();
    EVENKEEL_TRY_STATUS(check_loaded(trace_, first_path_));
    trace_.undecided_layers = unloaded_layers(trace_);
    std::erase_if(trace_.undecided_layers, [this](int layer) { return moe_layers_.contains(layer); });
    drop_undecided_layers(trace_);
    return std::move(trace_);
  }

 private:
  [[nodiscard]] std::size_t largest_expert() const {
    std::size_t largest = 0;
    for (const ExpertIndex expert : trace_.paths.experts) {
      if (expert != kNoExpert) largest = std::max<std::size_t>(largest, expert);
    }
    return largest;
  }

  Trace trace_;
  /// Named by one of the recordings.
  std::set<int> moe_layers_;
  RecordingHeader first_;
  std::string first_path_;
  std::string path_;
  std::size_t load_bytes_ = 0;
  /// Numbers of a recording's windows count from here.
  std::uint32_t first_window_ = 0;
  std::uint32_t next_window_ = 0;
  std::vector<bool> has_window_;
  bool is_staged_ = false;
  bool are_experts_stated_ = true;
};

}  // namespace

std::vector<int> unloaded_layers(const Trace& trace) {
  const std::vector<bool> is_loaded = loaded_layers(trace);
  std::vector<int> unloaded;
  for (std::size_t layer = 0; layer < is_loaded.size(); ++layer) {
    if (!is_loaded[layer]) unloaded.push_back(trace.shape.layer_ids[layer]);
  }
  return unloaded;
}

Status check_loaded(const Trace& trace, const std::string& path) {
  if (unloaded_layers(trace).size() < trace.shape.layers()) return {};
  return invalid_input(fmt::format("{}: no layer has any load; record some traffic first", path));
}

Result<Trace> read_trace(const std::filesystem::path& path, const ReadOptions& options) {
  return read_traces({path}, options);
}

Result<Trace> read_traces(const std::vector<std::filesystem::path>& paths, const ReadOptions& options) {
  TraceCollector collector;
  EVENKEEL_TRY_STATUS(read_recordings(paths, options, collector));
  return collector.finish();
}

Status select(const Selection& selection, Trace& trace, const std::string& path) {
  if (!selection.layers.empty()) EVENKEEL_TRY_STATUS(select_layers(selection.layers, trace, path));
  if (selection.skip_windows == 0 && !selection.stage) return {};
  const bool has_loads = !trace.load_windows.empty();
  if (selection.skip_windows > 0 && !has_loads && trace.window_of_sequence.empty()) {
    return invalid_input(fmt::format("{}: it has no windows to skip {} of; make a profile of several windows first",
                                     path, selection.skip_windows),
                         {"skip", "window_sequences"});
  }
  const auto stays = [&](std::size_t window, Stage stage) {
    return window >= selection.skip_windows && (!selection.stage || stage == *selection.stage);
  };
  // New number of each window of loads that stays.
  std::vector<std::optional<std::uint32_t>> renumbered;
  std::vector<StageLoad> kept_windows;
  for (std::size_t window = 0; window < trace.load_windows.size(); ++window) {
    const bool is_kept = stays(window, trace.load_windows[window].stage);
    renumbered.push_back(is_kept ? std::optional(static_cast<std::uint32_t>(kept_windows.size())) : std::nullopt);
    if (is_kept) kept_windows.push_back(std::move(trace.load_windows[window]));
  }
  std::vector<std::size_t> sequences;
  for (std::size_t sequence = 0; sequence < trace.paths.sequences(); ++sequence) {
    const std::uint32_t window = trace.window_of_sequence.empty() ? 0 : trace.window_of_sequence[sequence];
    const Stage stage = trace.stage_of_sequence.empty() ? Stage::kMixed : trace.stage_of_sequence[sequence];
    if (has_loads ? renumbered[window].has_value() : stays(window, stage)) sequences.push_back(sequence);
  }
  if (kept_windows.empty() && (has_loads || sequences.empty()))
    return invalid_input(fmt::format("{}: nothing is left of it; check skip and stage", path), {"skip", "stage"});
  trace.load_windows = std::move(kept_windows);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (!trace.stage_of_sequence.empty()) trace.stage_of_sequence[i] = trace.stage_of_sequence[sequences[i]];
    if (trace.window_of_sequence.empty()) continue;
    const std::uint32_t window = trace.window_of_sequence[sequences[i]];
    trace.window_of_sequence[i] = has_loads ? *renumbered[window] : window;
  }
  if (!trace.stage_of_sequence.empty()) trace.stage_of_sequence.resize(sequences.size());
  if (!trace.window_of_sequence.empty()) trace.window_of_sequence.resize(sequences.size());
  if (!trace.paths.empty()) keep_sequences(sequences, trace.paths);
  return check_loaded(trace, path);
}

RoutingProfile profile_of(const Trace& trace, const std::vector<std::size_t>& parts, std::size_t windows) {
  RoutingProfile profile{trace.shape, {}, {}};
  if (!trace.load_windows.empty()) {
    for (const std::size_t window : parts) profile.windows.push_back(trace.load_windows[window]);
    if (!trace.paths.empty()) profile.paths = paths_in_windows(trace, parts);
    return profile;
  }
  profile.paths = paths_of(trace.paths, parts);
  profile.windows = loads_of_paths(profile.paths, trace.shape, windows);
  return profile;
}

RoutingProfile profile_of(Trace trace, std::size_t windows) {
  RoutingProfile profile = loads_of(trace, windows);
  if (!trace.paths.empty()) profile.paths = std::move(trace.paths);
  return profile;
}

RoutingProfile loads_of(const Trace& trace, std::size_t windows) {
  if (!trace.load_windows.empty()) return {trace.shape, trace.load_windows, {}};
  return {trace.shape, loads_of_paths(trace.paths, trace.shape, windows), {}};
}

}  // namespace evenkeel
