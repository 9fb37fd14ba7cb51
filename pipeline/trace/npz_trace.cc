#include "pipeline/trace/npz_trace.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "pipeline/trace/npz.h"

namespace evenkeel {
namespace {

/// Without seq_start, blocks of this many tokens count as sequences (DESIGN: hold-out).
constexpr std::size_t kBlockTokens = 1024;
constexpr std::size_t kRoundsMax = 4096;
constexpr std::size_t kTopKMax = 256;
/// Engines' maps have a row for every hidden layer up to the last.
constexpr std::int64_t kLayerIdMax = 9999;
constexpr std::size_t kSequencesMax = std::size_t{1} << 28;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

/// Where in `ids` an element is, for messages.
struct IdsPosition {
  std::size_t token;
  std::size_t round;
};

class IdsReader {
 public:
  IdsReader(std::string path, NpyStream stream) : path_(std::move(path)), stream_(std::move(stream)) {}

  Result<std::vector<ExpertIndex>> read() {
    const NpyHeader& header = stream_.header();
    const std::size_t top_k = header.shape[2];
    const std::size_t rows_per_chunk = std::max<std::size_t>(1, kChunkBytes / (top_k * header.item_bytes));
    const std::size_t rows = header.shape[0] * header.shape[1];
    std::vector<ExpertIndex> experts;
    std::vector<std::byte> chunk;
    for (std::size_t row = 0; row < rows; row += rows_per_chunk) {
      const std::size_t count = std::min(rows_per_chunk, rows - row);
      chunk.resize(count * top_k * header.item_bytes);
      EVENKEEL_TRY_STATUS(stream_.read(chunk));
      for (std::size_t i = 0; i < count; ++i) EVENKEEL_TRY_STATUS(append_row(chunk, i, row + i, experts));
    }
    return experts;
  }

  [[nodiscard]] ExpertIndex largest() const { return largest_; }

 private:
  Status append_row(std::span<const std::byte> chunk, std::size_t row_in_chunk, std::size_t row,
                    std::vector<ExpertIndex>& experts) {
    const std::size_t top_k = stream_.header().shape[2];
    const IdsPosition at{row / stream_.header().shape[1], row % stream_.header().shape[1]};
    const std::size_t first = experts.size();
    for (std::size_t choice = 0; choice < top_k; ++choice) {
      const auto id = integer_at(stream_.header(), chunk, row_in_chunk * top_k + choice);
      if (!id || *id < -1 || *id >= static_cast<std::int64_t>(kExpertsMax)) {
        const std::string value = id ? fmt::format("{}", *id) : "above 2^63";
        return invalid_input(fmt::format("{}: ids[{}, {}, {}] is {}; give an expert from 0 to {}, or -1 for none",
                                         path_, at.token, at.round, choice, value, kExpertsMax - 1));
      }
      if (*id == -1) {
        experts.push_back(kNoExpert);
        continue;
      }
      const auto expert = static_cast<ExpertIndex>(*id);
      if (std::find(experts.begin() + static_cast<std::ptrdiff_t>(first), experts.end(), expert) != experts.end()) {
        return invalid_input(
            fmt::format("{}: ids[{}, {}] names expert {} twice; a token chooses an expert at most once a round", path_,
                        at.token, at.round, expert));
      }
      largest_ = std::max(largest_, expert);
      experts.push_back(expert);
    }
    return {};
  }

  std::string path_;
  NpyStream stream_;
  ExpertIndex largest_ = 0;
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
  if (header.shape[1] > kRoundsMax || header.shape[2] > kTopKMax) {
    return invalid_input(fmt::format("{}: array 'ids' has shape ({}); at most {} layers and top-{} are accepted", path,
                                     fmt::join(header.shape, ", "), kRoundsMax, kTopKMax));
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

/// Fills layer ids and the row of each round from `layer_ids` [rounds], ids repeated where a layer has several rounds.
Status read_layers(const std::string& path, const NpzArchive& archive, std::size_t rounds, Trace& trace) {
  std::vector<std::int64_t> id_of_round(rounds);
  std::iota(id_of_round.begin(), id_of_round.end(), 0);
  if (archive.has("layer_ids")) {
    EVENKEEL_TRY(values, archive.integers("layer_ids", kRoundsMax));
    if (values.size() != rounds) {
      return invalid_input(fmt::format("{}: layer_ids has {} entries but ids has {} layers; give one each", path,
                                       values.size(), rounds));
    }
    id_of_round = values;
  }
  for (const std::int64_t id : id_of_round) {
    if (id < 0 || id > kLayerIdMax) {
      return invalid_input(
          fmt::format("{}: layer_ids holds {}; give the layer's number in the model, 0 to {}", path, id, kLayerIdMax));
    }
    trace.shape.layer_ids.push_back(static_cast<int>(id));
  }
  auto& layer_ids = trace.shape.layer_ids;
  std::sort(layer_ids.begin(), layer_ids.end());
  layer_ids.erase(std::unique(layer_ids.begin(), layer_ids.end()), layer_ids.end());
  for (const std::int64_t id : id_of_round) {
    const auto row = std::lower_bound(layer_ids.begin(), layer_ids.end(), static_cast<int>(id)) - layer_ids.begin();
    trace.paths.layer_of_round.push_back(static_cast<std::uint32_t>(row));
  }
  return {};
}

Status read_labels(const std::string& path, const NpzArchive& archive, Trace& trace) {
  const std::size_t sequences = trace.paths.sequence_start.size() - 1;
  const auto check_count = [&](std::string_view name, std::size_t count) -> Status {
    if (count == sequences) return {};
    return invalid_input(
        fmt::format("{}: {} has {} entries but there are {} sequences; give one each", path, name, count, sequences));
  };
  if (archive.has("window")) {
    EVENKEEL_TRY(windows, archive.integers("window", sequences));
    EVENKEEL_TRY_STATUS(check_count("window", windows.size()));
    for (std::size_t i = 0; i < sequences; ++i) {
      if (windows[i] < 0 || windows[i] >= static_cast<std::int64_t>(kSequencesMax)) {
        return invalid_input(fmt::format("{}: window[{}] is {}; number windows from 0", path, i, windows[i]));
      }
      trace.window_of_sequence.push_back(static_cast<std::uint32_t>(windows[i]));
    }
  }
  if (archive.has("stage")) {
    EVENKEEL_TRY(stages, archive.strings("stage", sequences));
    EVENKEEL_TRY_STATUS(check_count("stage", stages.size()));
    for (std::size_t i = 0; i < sequences; ++i) {
      if (stages[i] != "prefill" && stages[i] != "decode" && stages[i] != "mixed") {
        return invalid_input(fmt::format("{}: stage[{}] is '{}'; give prefill, decode or mixed", path, i, stages[i]));
      }
    }
    trace.stage_of_sequence = std::move(stages);
  }
  return {};
}

Result<std::size_t> expert_count(const std::string& path, const NpzArchive& archive, const ReadOptions& options,
                                 std::size_t largest) {
  std::size_t experts = options.experts.value_or(largest + 1);
  if (!options.experts && archive.has("experts")) {
    EVENKEEL_TRY(values, archive.integers("experts", 1));
    if (values.size() != 1 || values[0] < 1 || values[0] > static_cast<std::int64_t>(kExpertsMax)) {
      return invalid_input(fmt::format("{}: experts must be one number from 1 to {}", path, kExpertsMax));
    }
    experts = static_cast<std::size_t>(values[0]);
  }
  if (largest >= experts) {
    return invalid_input(fmt::format(
        "{}: ids names expert {} but the model has {} experts; check --experts or the trace", path, largest, experts));
  }
  return experts;
}

}  // namespace

Result<Trace> read_npz_trace(const std::filesystem::path& file, const ReadOptions& options) {
  const std::string path = file.string();
  EVENKEEL_TRY(archive, NpzArchive::open(file));
  EVENKEEL_TRY(stream, archive.array("ids"));
  EVENKEEL_TRY_STATUS(check_ids_header(path, stream.header()));
  const auto shape = stream.header().shape;
  Trace trace;
  trace.paths.top_k = shape[2];
  EVENKEEL_TRY_STATUS(read_layers(path, archive, shape[1], trace));
  EVENKEEL_TRY(start, sequence_start(path, archive, shape[0]));
  trace.paths.sequence_start = std::move(start);
  EVENKEEL_TRY_STATUS(read_labels(path, archive, trace));
  IdsReader reader(path, std::move(stream));
  EVENKEEL_TRY(experts, reader.read());
  trace.paths.experts = std::move(experts);
  EVENKEEL_TRY(count, expert_count(path, archive, options, reader.largest()));
  trace.shape.experts = count;
  return trace;
}

}  // namespace evenkeel
