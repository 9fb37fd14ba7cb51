#include "pipeline/engine/pattern_placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>

#include "pipeline/engine/placement_document.h"
#include "pipeline/trace/npz.h"
#include "pipeline/trace/reading.h"

namespace evenkeel {
namespace {

/// The longest header that parse_npy_header accepts fits.
constexpr std::size_t kPatternHeadBytes = 8192;
/// 1,024 ranks of 256 experts in 128 layers.
constexpr std::size_t kPatternBytesMax = std::size_t{256} << 20;

struct Pattern {
  std::vector<std::size_t> shape;
  /// Whether a rank holds an expert [ranks, layers, experts]; empty where the values are others than 0 and 1.
  std::vector<bool> holds;
};

Result<std::vector<std::byte>> read_bytes(const std::filesystem::path& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kPatternBytesMax) {
    return invalid_input(fmt::format("{}: it has {} bytes; an array of at most {} is read as a placement",
                                     path.string(), bytes, kPatternBytesMax));
  }
  std::vector<std::byte> data(bytes);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
  data.resize(static_cast<std::size_t>(in.gcount()));
  return data;
}

Result<Pattern> read_pattern(const std::filesystem::path& path) {
  EVENKEEL_TRY(bytes, read_bytes(path));
  const auto parsed = parse_npy_header(std::span(bytes).first(std::min(bytes.size(), kPatternHeadBytes)));
  if (!parsed) return invalid_input(fmt::format("{}: {}", path.string(), parsed.error().message));
  NpyHeader header = parsed->first;
  const auto data = std::span<const std::byte>(bytes).subspan(parsed->second);
  Pattern pattern{header.shape, {}};
  // A bool is a byte that is 0 or 1.
  if (header.kind == 'b') header.kind = 'u';
  if (!header.is_integer() || header.shape.size() != 3 || header.elements() == 0) return pattern;
  if (header.elements() > data.size() || header.elements() * header.item_bytes != data.size()) {
    return invalid_input(
        fmt::format("{}: its header claims shape ({}) of {} bytes each but {} bytes follow; copy or write it again",
                    path.string(), fmt::join(header.shape, ", "), header.item_bytes, data.size()));
  }
  for (std::size_t i = 0; i < header.elements(); ++i) {
    const auto value = integer_at(header, data, i).value_or(-1);
    if (value != 0 && value != 1) {
      pattern.holds.clear();
      return pattern;
    }
    pattern.holds.push_back(value == 1);
  }
  return pattern;
}

/// The experts that a rank holds in a layer, ascending.
std::vector<ExpertIndex> experts_held(const Pattern& pattern, std::size_t rank, std::size_t layer) {
  std::vector<ExpertIndex> experts;
  const std::size_t start = (rank * pattern.shape[1] + layer) * pattern.shape[2];
  for (std::size_t expert = 0; expert < pattern.shape[2]; ++expert) {
    if (pattern.holds[start + expert]) experts.push_back(static_cast<ExpertIndex>(expert));
  }
  return experts;
}

}  // namespace

Result<PlacementFile> read_pattern_placement(const std::filesystem::path& file, const PlacementHints& given) {
  EVENKEEL_TRY(pattern, read_pattern(file));
  if (pattern.holds.empty()) return not_a_placement(file, "a NumPy array, as recorded routing is");
  const std::string path = file.string();
  const std::size_t ranks = pattern.shape[0];
  const std::size_t layers = pattern.shape[1];
  const std::size_t experts = pattern.shape[2];
  if (layers > kLayersMax || experts > kExpertsMax) {
    return invalid_input(fmt::format("{}: its shape is ({}); at most {} layers and {} experts are accepted", path,
                                     fmt::join(pattern.shape, ", "), kLayersMax, kExpertsMax));
  }
  const std::size_t slots = experts_held(pattern, 0, 0).size();
  if (slots == 0) return invalid_input(fmt::format("{}: rank 0 holds no expert of layer 0; give every rank one", path));
  EngineMap map{{}, Grid<ExpertIndex>(layers, ranks * slots), ranks, std::nullopt, {}};
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const auto held = experts_held(pattern, rank, layer);
      if (held.size() != slots) {
        return invalid_input(fmt::format(
            "{}: rank {} holds {} experts of layer {} but rank 0 holds {} of layer 0; give every rank equally many",
            path, rank, held.size(), layer, slots));
      }
      std::ranges::copy(held, map.rows[layer].subspan(rank * slots, slots).begin());
    }
  }
  EVENKEEL_TRY(layer_ids, layers_from_zero(layers, given, path));
  map.layer_ids = std::move(layer_ids);
  map.notes.push_back({"a pattern does not hold the order of slots; experts are in ascending order on each GPU"});
  PlacementHints hints = given;
  hints.experts = given.experts.value_or(experts);
  return placement_of(std::move(map), hints, path);
}

}  // namespace evenkeel
