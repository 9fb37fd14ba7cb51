#include "pipeline/trace/npz_recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <future>
#include <limits>
#include <numeric>

#include "pipeline/trace/choice_rows.h"
#include "pipeline/trace/npz.h"
#include "pipeline/trace/npz_layers.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

/// Without seq_start, blocks of this many tokens count as sequences (DESIGN: hold-out).
constexpr std::size_t kBlockTokens = 1024;
constexpr std::size_t kSequencesMax = std::size_t{1} << 22;
constexpr std::size_t kWindowsMax = std::size_t{1} << 22;
constexpr std::size_t kNpzChunkBytes = std::size_t{1} << 20;

struct Labels {
  /// First token of each sequence, then the number of tokens.
  std::vector<std::uint64_t> sequence_start;
  std::vector<std::int64_t> window;
  std::vector<Stage> stage;
  std::vector<std::int64_t> seconds;

  [[nodiscard]] std::size_t sequences() const { return sequence_start.size() - 1; }
  [[nodiscard]] SequenceLabel of(std::size_t sequence) const {
    SequenceLabel label;
    if (!window.empty()) label.window = static_cast<std::uint32_t>(window[sequence]);
    if (!stage.empty()) label.stage = stage[sequence];
    if (!seconds.empty()) label.seconds = static_cast<double>(seconds[sequence]);
    return label;
  }
};

Status check_ids_header(const std::string& path, const NpyHeader& header) {
  if (!header.is_integer() || header.shape.size() != 3) {
    return invalid_input(
        fmt::format("{}: array 'ids' has shape ({}) and kind '{}'; give integers [tokens, layers, top-k]", path,
                    fmt::join(header.shape, ", "), header.kind));
  }
  if (header.shape[0] == 0 || header.shape[1] == 0 || header.shape[2] == 0) {
    return invalid_input(fmt::format("{}: array 'ids' has shape ({}) and so no token; record some traffic first", path,
                                     fmt::join(header.shape, ", ")));
  }
  if (header.shape[1] > kLayersMax || header.shape[2] > kTopKMax) {
    return invalid_input(fmt::format("{}: array 'ids' has shape ({}); at most {} layers and top-{} are accepted", path,
                                     fmt::join(header.shape, ", "), kLayersMax, kTopKMax));
  }
  return {};
}

Status check_loads_header(const std::string& path, const NpyHeader& header) {
  if (!header.is_integer() || header.shape.size() != 3 || header.elements() == 0) {
    return invalid_input(
        fmt::format("{}: array 'loads' has shape ({}) and kind '{}'; give integers [windows, layers, experts]", path,
                    fmt::join(header.shape, ", "), header.kind));
  }
  if (header.shape[0] > kWindowsMax || header.shape[1] > kLayersMax || header.shape[2] > kExpertsMax) {
    return invalid_input(
        fmt::format("{}: array 'loads' has shape ({}); at most {} windows, {} layers and {} experts are accepted", path,
                    fmt::join(header.shape, ", "), kWindowsMax, kLayersMax, kExpertsMax));
  }
  return {};
}

Result<std::vector<std::uint64_t>> sequence_start(const std::string& path, const NpzArchive& archive,
                                                  std::size_t tokens) {
  std::vector<std::uint64_t> start;
  if (!archive.has("seq_start")) {
    for (std::size_t token = 0; token < tokens; token += kBlockTokens) start.push_back(token);
    start.push_back(tokens);
    return start;
  }
  EVENKEEL_TRY(values, archive.integers("seq_start", kSequencesMax));
  if (values.size() < 2 || values.front() != 0 || values.back() != static_cast<std::int64_t>(tokens)) {
    return invalid_input(fmt::format(
        "{}: seq_start goes from {} to {} in {} entries; it must start at 0 and end with the number of tokens, {}",
        path, values.empty() ? 0 : values.front(), values.empty() ? 0 : values.back(), values.size(), tokens));
  }
  const auto fall = std::is_sorted_until(values.begin(), values.end());
  if (fall != values.end()) {
    return invalid_input(
        fmt::format("{}: seq_start[{}] is {}, lower than the entry before; list starts in ascending order", path,
                    fall - values.begin(), *fall));
  }
  start.assign(values.begin(), values.end());
  return start;
}

/// Integers [count] where the archive has them, each from 0 to below `end`.
Result<std::vector<std::int64_t>> label_numbers(const std::string& path, const NpzArchive& archive,
                                                const std::string& name, std::size_t count, std::int64_t end) {
  if (!archive.has(name)) return std::vector<std::int64_t>();
  EVENKEEL_TRY(values, archive.integers(name, count));
  if (values.size() != count) {
    return invalid_input(fmt::format("{}: {} has {} entries but there are {} sequences; give one each", path, name,
                                     values.size(), count));
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (values[i] < 0 || values[i] >= end) {
      return invalid_input(
          fmt::format("{}: {}[{}] is {}; give a number from 0 to {}", path, name, i, values[i], end - 1));
    }
  }
  return std::move(values);
}

Result<std::vector<Stage>> stages(const std::string& path, const NpzArchive& archive, const std::string& name,
                                  std::size_t count) {
  if (!archive.has(name)) return std::vector<Stage>();
  EVENKEEL_TRY(values, archive.strings(name, count));
  if (values.size() != count) {
    return invalid_input(
        fmt::format("{}: {} has {} entries but there are {} to name; give one each", path, name, values.size(), count));
  }
  std::vector<Stage> stages;
  for (const std::string& value : values) {
    const auto stage = parse_stage(value);
    if (!stage) return invalid_input(fmt::format("{}: {}[{}] {}", path, name, stages.size(), stage.error().message));
    stages.push_back(*stage);
  }
  return stages;
}

/// `load_windows`: how many there are beside the token paths; 0: windows are as numbered.
Result<Labels> read_labels(const std::string& path, const NpzArchive& archive, std::size_t tokens,
                           std::size_t load_windows) {
  Labels labels;
  EVENKEEL_TRY(start, sequence_start(path, archive, tokens));
  labels.sequence_start = std::move(start);
  const std::size_t sequences = labels.sequences();
  EVENKEEL_TRY(window, label_numbers(path, archive, "window", sequences,
                                     static_cast<std::int64_t>(load_windows > 0 ? load_windows : kWindowsMax)));
  labels.window = std::move(window);
  EVENKEEL_TRY(seconds, label_numbers(path, archive, "seconds", sequences, std::numeric_limits<std::int64_t>::max()));
  labels.seconds = std::move(seconds);
  if (!std::ranges::is_sorted(labels.seconds)) {
    return invalid_input(fmt::format("{}: seconds falls; put the sequences in the order of time", path));
  }
  EVENKEEL_TRY(stage, stages(path, archive, "stage", sequences));
  labels.stage = std::move(stage);
  if (load_windows > 1 && labels.window.empty()) {
    return invalid_input(fmt::format("{}: array 'window' is missing; say which of the {} windows each sequence is of",
                                     path, load_windows));
  }
  return labels;
}

/// Layer ids and the row of each round from `layer_ids` [rounds], ids repeated where a layer has several rounds.
Status read_layers(const std::string& path, const NpzArchive& archive, std::size_t rounds, const ReadOptions& options,
                   RecordingHeader& header) {
  std::vector<int> id_of_round;
  if (archive.has("layer_ids")) {
    EVENKEEL_TRY(values, archive.integers("layer_ids", kLayersMax));
    if (values.size() != rounds) {
      return invalid_input(fmt::format("{}: layer_ids has {} entries but there are {} layers; give one each", path,
                                       values.size(), rounds));
    }
    for (const std::int64_t id : values) {
      if (id < 0 || id > kLayerIdMax) {
        return invalid_input(fmt::format("{}: layer_ids holds {}; give the layer's number in the model, 0 to {}", path,
                                         id, kLayerIdMax));
      }
      id_of_round.push_back(static_cast<int>(id));
    }
  } else {
    EVENKEEL_TRY(layers, layers_of_rows(rounds, options, path));
    for (std::size_t round = 0; round < rounds; ++round) {
      id_of_round.push_back(layers[round].value_or(static_cast<int>(round)));
    }
  }
  header.layer_ids = id_of_round;
  std::ranges::sort(header.layer_ids);
  header.layer_ids.erase(std::unique(header.layer_ids.begin(), header.layer_ids.end()), header.layer_ids.end());
  for (const int id : id_of_round) {
    const auto row = std::ranges::lower_bound(header.layer_ids, id) - header.layer_ids.begin();
    header.layer_of_round.push_back(static_cast<std::uint32_t>(row));
  }
  return {};
}

/// One whole number from 1 to `most`, where the archive has it.
Result<std::optional<std::size_t>> number(const std::string& path, const NpzArchive& archive, const std::string& name,
                                          std::size_t most) {
  if (!archive.has(name)) return std::optional<std::size_t>();
  EVENKEEL_TRY(values, archive.integers(name, 1));
  if (values.size() != 1 || values[0] < 1 || static_cast<std::uint64_t>(values[0]) > most) {
    return invalid_input(fmt::format("{}: {} must be one number from 1 to {}", path, name, most));
  }
  return std::optional(static_cast<std::size_t>(values[0]));
}

/// Hands the tokens of chunks on, sequence by sequence.
class SequenceFeed {
 public:
  SequenceFeed(const Labels& labels, std::size_t token_ids, RecordingSink& sink)
      : labels_(labels), token_ids_(token_ids), sink_(sink) {}

  Status feed(std::span<const ExpertIndex> experts) {
    while (!experts.empty()) {
      EVENKEEL_TRY_STATUS(open_due());
      const std::uint64_t left = labels_.sequence_start[next_] - token_;
      const std::size_t tokens = std::min<std::size_t>(left, experts.size() / token_ids_);
      EVENKEEL_TRY_STATUS(sink_.tokens(experts.first(tokens * token_ids_)));
      experts = experts.subspan(tokens * token_ids_);
      token_ += tokens;
    }
    return {};
  }
  /// Sequences without tokens at the end.
  Status finish() { return open_due(); }

 private:
  Status open_due() {
    while (next_ < labels_.sequence_start.size() - 1 && labels_.sequence_start[next_] <= token_) {
      EVENKEEL_TRY_STATUS(sink_.begin_sequence(labels_.of(next_)));
      ++next_;
    }
    return {};
  }

  const Labels& labels_;
  std::size_t token_ids_;
  RecordingSink& sink_;
  std::uint64_t token_ = 0;
  /// Sequences begun; the present one ends at sequence_start[next_].
  std::size_t next_ = 0;
};

/// Appends rows of ids of the array's own integer type.
Status append_rows(const NpyHeader& type, std::span<const std::byte> data, std::size_t first_row, ChoiceRows& rows,
                   std::vector<ExpertIndex>& out) {
  const auto as = [&]<class T>(T) {
    return rows.append(std::span(reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)), first_row, out);
  };
  const bool is_signed = type.kind == 'i';
  switch (type.item_bytes) {
    case 1:
      return is_signed ? as(std::int8_t{}) : as(std::uint8_t{});
    case 2:
      return is_signed ? as(std::int16_t{}) : as(std::uint16_t{});
    case 4:
      return is_signed ? as(std::int32_t{}) : as(std::uint32_t{});
    default:
      return is_signed ? as(std::int64_t{}) : as(std::uint64_t{});
  }
}

/// Streams the array through; one chunk is inflated and checked while the one before is handed on.
Status read_ids(NpyStream stream, const Labels& labels, ChoiceRows rows, const ReadOptions& options,
                RecordingSink& sink) {
  const NpyHeader header = stream.header();
  const std::size_t token_ids = header.shape[1] * header.shape[2];
  const std::size_t token_bytes = token_ids * header.item_bytes;
  const std::size_t tokens = header.shape[0];
  const std::size_t chunk_tokens = std::max<std::size_t>(1, kNpzChunkBytes / token_bytes);
  std::size_t tokens_read = 0;
  std::vector<std::byte> raw;
  const auto read_chunk = [&](std::vector<ExpertIndex>& experts) -> Status {
    const std::size_t count = std::min(chunk_tokens, tokens - tokens_read);
    raw.resize(count * token_bytes);
    EVENKEEL_TRY_STATUS(stream.read(raw));
    experts.clear();
    EVENKEEL_TRY_STATUS(append_rows(header, raw, tokens_read * header.shape[1], rows, experts));
    tokens_read += count;
    return {};
  };
  SequenceFeed feed(labels, token_ids, sink);
  std::vector<ExpertIndex> present;
  std::vector<ExpertIndex> next;
  EVENKEEL_TRY_STATUS(read_chunk(next));
  while (!next.empty()) {
    present.swap(next);
    const double share = static_cast<double>(tokens_read) / static_cast<double>(tokens);
    auto reading = std::async(std::launch::async, [&] { return read_chunk(next); });
    EVENKEEL_TRY_STATUS(feed.feed(present));
    EVENKEEL_TRY_STATUS(reading.get());
    if (options.progress) options.progress(share);
  }
  return feed.finish();
}

Status read_loads(const std::string& path, const NpzArchive& archive, NpyStream stream, const ReadOptions& options,
                  RecordingSink& sink) {
  const NpyHeader header = stream.header();
  const std::size_t windows = header.shape[0];
  EVENKEEL_TRY(stage, stages(path, archive, "window_stage", windows));
  std::vector<std::byte> data(header.shape[1] * header.shape[2] * header.item_bytes);
  for (std::size_t window = 0; window < windows; ++window) {
    EVENKEEL_TRY_STATUS(stream.read(data));
    StageLoad loads{.stage = stage.empty() ? Stage::kMixed : stage[window],
                    .load_tokens = Grid<std::uint64_t>(header.shape[1], header.shape[2])};
    for (std::size_t i = 0; i < loads.load_tokens.cells().size(); ++i) {
      const auto tokens = integer_at(header, data, i);
      if (!tokens || *tokens < 0) {
        return invalid_input(fmt::format("{}: loads[{}, {}, {}] is {}; give a number of tokens, 0 or above", path,
                                         window, i / header.shape[2], i % header.shape[2],
                                         tokens ? fmt::format("{}", *tokens) : "above 2^63"));
      }
      loads.load_tokens.cells()[i] = static_cast<std::uint64_t>(*tokens);
    }
    EVENKEEL_TRY_STATUS(sink.loads(std::move(loads)));
    if (options.progress) options.progress(static_cast<double>(window + 1) / static_cast<double>(windows));
  }
  return {};
}

/// The number of experts: that of `loads`, else what the options or the file say.
Result<std::optional<std::size_t>> expert_count(const std::string& path, const NpzArchive& archive,
                                                const std::optional<NpyStream>& loads, const ReadOptions& options) {
  if (loads) {
    const std::size_t counted = loads->header().shape[2];
    EVENKEEL_TRY_STATUS(check_experts(path, counted, options));
    return std::optional(counted);
  }
  if (options.experts) return options.experts;
  return number(path, archive, "experts", kExpertsMax);
}

Status check_rounds_of_profile(const std::string& path, const RecordingHeader& header, std::size_t layers) {
  if (header.layer_ids.size() == layers) return {};
  return invalid_input(fmt::format("{}: ids goes through {} layers but loads has {}; make them agree", path,
                                   header.layer_ids.size(), layers));
}

Result<std::optional<NpyStream>> open_array(const NpzArchive& archive, const std::string& name) {
  if (!archive.has(name)) return std::optional<NpyStream>();
  EVENKEEL_TRY(stream, archive.array(name));
  return std::optional(std::move(stream));
}

}  // namespace

Status read_npz_recording(const std::filesystem::path& file, const ReadOptions& given, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY(archive, NpzArchive::open(file));
  EVENKEEL_TRY(loads, open_array(archive, "loads"));
  EVENKEEL_TRY(ids, open_array(archive, "ids"));
  if (!loads && !ids)
    return invalid_input(fmt::format("{}: array 'ids' is missing; a native trace holds ids and seq_start", path));
  if (loads) EVENKEEL_TRY_STATUS(check_loads_header(path, loads->header()));
  if (ids) EVENKEEL_TRY_STATUS(check_ids_header(path, ids->header()));
  EVENKEEL_TRY(experts, expert_count(path, archive, loads, given));
  ReadOptions options = given;
  options.experts = experts;

  RecordingHeader header;
  header.experts = experts;
  header.has_loads = loads.has_value();
  header.top_k = ids ? ids->header().shape[2] : 0;
  EVENKEEL_TRY_STATUS(read_layers(path, archive, (ids ? ids : loads)->header().shape[1], options, header));
  EVENKEEL_TRY_STATUS(read_moe_layers(path, archive, header));
  if (loads) EVENKEEL_TRY_STATUS(check_rounds_of_profile(path, header, loads->header().shape[1]));
  EVENKEEL_TRY(hidden_layers, number(path, archive, "hidden_layers", kLayerIdMax + 1));
  header.hidden_layers = hidden_layers;
  EVENKEEL_TRY(one_in, number(path, archive, "paths_one_in", std::size_t{1} << 62));
  header.paths_one_in = one_in.value_or(1);
  if (!std::has_single_bit(header.paths_one_in) || (header.paths_one_in > 1 && !loads)) {
    return invalid_input(fmt::format("{}: paths_one_in is {}; give a power of two, and loads beside the sample", path,
                                     header.paths_one_in));
  }

  Labels labels;
  if (ids) {
    EVENKEEL_TRY(read, read_labels(path, archive, ids->header().shape[0], loads ? loads->header().shape[0] : 0));
    labels = std::move(read);
  }
  EVENKEEL_TRY_STATUS(sink.begin(path, header));
  if (loads) EVENKEEL_TRY_STATUS(read_loads(path, archive, *std::move(loads), options, sink));
  if (!ids) return sink.end();
  ChoiceRows rows(path + ": ids", ids->header().shape[1], ids->header().shape[2], options);
  EVENKEEL_TRY_STATUS(read_ids(*std::move(ids), labels, std::move(rows), options, sink));
  return sink.end();
}

}  // namespace evenkeel
