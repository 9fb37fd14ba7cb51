#include "pipeline/trace/npy_recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "pipeline/trace/choice_rows.h"
#include "pipeline/trace/counts_table.h"
#include "pipeline/trace/half_float.h"
#include "pipeline/trace/json_file.h"
#include "pipeline/trace/npz.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
/// The longest header that parse_npy_header accepts fits.
constexpr std::size_t kHeadBytes = 8192;

/// Neighbouring rows of a token that stay.
struct KeptRows {
  std::size_t first;
  std::size_t count;
};

std::vector<KeptRows> kept_rows(const RowLayers& layers) {
  std::vector<KeptRows> kept;
  for (std::size_t row = 0; row < layers.layer_of_row.size(); ++row) {
    if (!layers.layer_of_row[row]) continue;
    if (!kept.empty() && kept.back().first + kept.back().count == row) {
      ++kept.back().count;
    } else {
      kept.push_back({row, 1});
    }
  }
  return kept;
}

Status check_shape(const std::string& path, const NpyHeader& header) {
  const auto shape = fmt::format("{}: its shape is ({})", path, fmt::join(header.shape, ", "));
  const bool is_counts = header.shape.size() == 2 && (header.is_integer() || header.kind == 'f');
  if (!is_counts && (!header.is_integer() || header.shape.size() != 3)) {
    return invalid_input(
        fmt::format("{} and its kind '{}'; give integers [tokens, layers, top-k], or counts [layers, experts]", shape,
                    header.kind));
  }
  if (is_counts && (header.elements() == 0 || header.shape[0] > kLayersMax || header.shape[1] > kExpertsMax)) {
    return invalid_input(
        fmt::format("{}; of counts 1 to {} layers and {} experts are accepted", shape, kLayersMax, kExpertsMax));
  }
  if (is_counts) return {};
  if (header.elements() == 0) return invalid_input(fmt::format("{} and so it has no token; leave it out", shape));
  if (header.shape[1] > kLayersMax || header.shape[2] > kTopKMax) {
    return invalid_input(fmt::format("{}; at most {} layers and top-{} are accepted", shape, kLayersMax, kTopKMax));
  }
  return {};
}

/// Reads the header and leaves `in` behind it.
Result<NpyHeader> read_header(const std::string& path, std::ifstream& in) {
  std::array<std::byte, kHeadBytes> head;
  in.read(reinterpret_cast<char*>(head.data()), head.size());
  const auto parsed = parse_npy_header(std::span(head).first(static_cast<std::size_t>(in.gcount())));
  if (!parsed) return invalid_input(fmt::format("{}: {}", path, parsed.error().message));
  const auto& [header, header_bytes] = *parsed;
  EVENKEEL_TRY_STATUS(check_shape(path, header));
  in.clear();
  in.seekg(0, std::ios::end);
  const auto follow = static_cast<std::uint64_t>(in.tellg()) - header_bytes;
  std::size_t data_bytes = 0;
  if (__builtin_mul_overflow(header.elements(), header.item_bytes, &data_bytes) || data_bytes != follow) {
    return invalid_input(
        fmt::format("{}: its header claims shape ({}) of {} bytes each but {} bytes follow; copy or write it again",
                    path, fmt::join(header.shape, ", "), header.item_bytes, follow));
  }
  in.seekg(static_cast<std::streamoff>(header_bytes));
  return header;
}

/// Hands the tokens on; T is the type of the array's elements.
template <class T>
Status read_tokens(const std::string& path, const NpyHeader& header, std::span<const KeptRows> kept,
                   const ReadOptions& options, std::ifstream& in, RecordingSink& sink) {
  const std::size_t tokens = header.shape[0];
  const std::size_t rows = header.shape[1];
  const std::size_t top_k = header.shape[2];
  const std::size_t tokens_per_chunk = std::max<std::size_t>(1, kChunkBytes / (rows * top_k * sizeof(T)));
  ChoiceRows choices(fmt::format("{}: ids", path), rows, top_k, options);
  std::vector<T> chunk;
  std::vector<ExpertIndex> experts;
  for (std::size_t token = 0; token < tokens; token += tokens_per_chunk) {
    const std::size_t count = std::min(tokens_per_chunk, tokens - token);
    chunk.resize(count * rows * top_k);
    if (!in.read(reinterpret_cast<char*>(chunk.data()), static_cast<std::streamsize>(chunk.size() * sizeof(T)))) {
      return invalid_input(fmt::format("{}: the data ends early at token {}; copy or write it again", path, token));
    }
    experts.clear();
    for (std::size_t i = 0; i < count; ++i) {
      for (const KeptRows& run : kept) {
        const auto ids = std::span<const T>(chunk).subspan((i * rows + run.first) * top_k, run.count * top_k);
        EVENKEEL_TRY_STATUS(choices.append(ids, (token + i) * rows + run.first, experts));
      }
    }
    EVENKEEL_TRY_STATUS(sink.tokens(experts));
    report_progress(options, token + count, tokens);
  }
  return {};
}

Status read_tokens_of_kind(const std::string& path, const NpyHeader& header, std::span<const KeptRows> kept,
                           const ReadOptions& options, std::ifstream& in, RecordingSink& sink) {
  const bool is_signed = header.kind == 'i';
  switch (header.item_bytes) {
    case 1:
      return is_signed ? read_tokens<std::int8_t>(path, header, kept, options, in, sink)
                       : read_tokens<std::uint8_t>(path, header, kept, options, in, sink);
    case 2:
      return is_signed ? read_tokens<std::int16_t>(path, header, kept, options, in, sink)
                       : read_tokens<std::uint16_t>(path, header, kept, options, in, sink);
    case 4:
      return is_signed ? read_tokens<std::int32_t>(path, header, kept, options, in, sink)
                       : read_tokens<std::uint32_t>(path, header, kept, options, in, sink);
    default:
      return is_signed ? read_tokens<std::int64_t>(path, header, kept, options, in, sink)
                       : read_tokens<std::uint64_t>(path, header, kept, options, in, sink);
  }
}

/// An element of counts, negative or a fraction where the file has that.
double count_at(const NpyHeader& header, std::span<const std::byte> data, std::size_t index) {
  if (header.is_integer()) return static_cast<double>(integer_at(header, data, index).value_or(-1));
  const auto load = [&]<class T>(T value) {
    std::memcpy(&value, data.data() + index * sizeof value, sizeof value);
    return value;
  };
  if (header.item_bytes == sizeof(std::uint16_t)) return from_float16(load(std::uint16_t{}));
  return header.item_bytes == sizeof(float) ? load(float{}) : load(double{});
}

/// Counts [layers, experts], as DeepSeek's EPLB and vllm-ascend take them.
Status read_counts_array(const std::string& path, const NpyHeader& header, const ReadOptions& options,
                         std::ifstream& in, RecordingSink& sink) {
  Grid<std::uint64_t> counts(header.shape[0], header.shape[1]);
  std::vector<std::byte> row(counts.cols() * header.item_bytes);
  for (std::size_t layer = 0; layer < counts.rows(); ++layer) {
    if (!in.read(reinterpret_cast<char*>(row.data()), static_cast<std::streamsize>(row.size())))
      return invalid_input(fmt::format("{}: the data ends early at row {}; copy or write it again", path, layer));
    for (std::size_t expert = 0; expert < counts.cols(); ++expert) {
      const double value = count_at(header, row, expert);
      const auto count = whole_count(value);
      if (!count) {
        return invalid_input(fmt::format("{}: counts[{}, {}] is {}; give a whole number of tokens, 0 or above", path,
                                         layer, expert, value));
      }
      counts(layer, expert) = *count;
    }
  }
  if (options.note && header.kind == 'f' && header.item_bytes == sizeof(std::uint16_t))
    options.note(inexact_counts_note(path, "float16", kFloat16WholeMax));
  return hand_on_counts(path, counts, options, sink);
}

}  // namespace

Status read_npy_recording(const std::filesystem::path& file, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = file.string();
  EVENKEEL_TRY_STATUS(check_regular_file(file));
  std::ifstream in(file, std::ios::binary);
  EVENKEEL_TRY(array, read_header(path, in));
  if (array.shape.size() == 2) return read_counts_array(path, array, options, in, sink);
  EVENKEEL_TRY(layers, number_rows(array.shape[1], options, path));
  RecordingHeader header;
  header.layer_ids = layers.layer_ids;
  header.top_k = array.shape[2];
  for (const auto& layer : layers.layer_of_row) {
    if (layer) header.layer_of_round.push_back(*layer);
  }
  EVENKEEL_TRY_STATUS(sink.begin(path, header));
  EVENKEEL_TRY_STATUS(sink.begin_sequence({}));
  EVENKEEL_TRY_STATUS(read_tokens_of_kind(path, array, kept_rows(layers), options, in, sink));
  return sink.end();
}

}  // namespace evenkeel
