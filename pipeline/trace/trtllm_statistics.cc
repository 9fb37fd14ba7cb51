#include "pipeline/trace/trtllm_statistics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "pipeline/trace/json_file.h"
#include "pipeline/trace/reading.h"
#include "pipeline/trace/safetensors.h"

namespace evenkeel {
namespace {

constexpr std::string_view kMetaInfo = "meta_info.json";
/// A file stays open for each rank.
constexpr std::size_t kRanksMax = 4096;

/// A whole number in decimal without sign or leading zeros.
std::optional<std::uint32_t> decimal(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return value;
}

/// The counts of one layer in one iteration.
struct Counts {
  std::uint32_t iteration;
  std::uint32_t layer;
  /// In the rank's file.
  std::uint64_t offset;

  [[nodiscard]] auto key() const { return std::pair(iteration, layer); }
};

struct Rank {
  SafetensorsFile file;
  /// In ascending order of iteration and layer.
  std::vector<Counts> counts;
  /// First of the counts that are not yet read.
  std::size_t next = 0;
};

struct MetaInfo {
  std::size_t experts = 0;
  /// Older versions lack it.
  std::optional<std::size_t> experts_per_token;
};

Result<MetaInfo> read_meta_info(const std::filesystem::path& folder) {
  const auto path = folder / kMetaInfo;
  EVENKEEL_TRY(meta, read_json(path));
  if (!meta.is_object() || !meta.contains("num_experts")) {
    return invalid_input(fmt::format("{}: it has no key num_experts; record the folder again", path.string()));
  }
  const auto& experts = meta["num_experts"];
  if (!experts.is_number_unsigned() || experts == 0 || experts > kExpertsMax) {
    return invalid_input(fmt::format("{}: num_experts is {}; give a whole number from 1 to {}", path.string(),
                                     brief(experts), kExpertsMax));
  }
  MetaInfo info{experts.get<std::size_t>(), std::nullopt};
  if (!meta.contains("num_experts_per_token")) return info;
  const auto& top_k = meta["num_experts_per_token"];
  if (!top_k.is_number_unsigned() || top_k == 0 || top_k > kTopKMax) {
    return invalid_input(fmt::format("{}: num_experts_per_token is {}; give a whole number from 1 to {}", path.string(),
                                     brief(top_k), kTopKMax));
  }
  info.experts_per_token = top_k.get<std::size_t>();
  return info;
}

/// The ranks' files in the order of their ranks.
Result<std::vector<std::filesystem::path>> rank_files(const std::filesystem::path& folder) {
  std::map<std::uint32_t, std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    constexpr std::string_view kPrefix = "rank";
    constexpr std::string_view kSuffix = ".safetensors";
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const auto rank =
        decimal(std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
    if (rank) files.emplace(*rank, entry->path());
  }
  if (error)
    return invalid_input(
        fmt::format("{}: it cannot be listed ({}); check its rights", folder.string(), error.message()));
  if (files.empty() || files.size() > kRanksMax) {
    return invalid_input(
        fmt::format("{}: it holds {} files rank0.safetensors, rank1.safetensors, ...; 1 to {} are accepted",
                    folder.string(), files.size(), kRanksMax));
  }
  std::vector<std::filesystem::path> result;
  for (auto& [rank, file] : files) result.push_back(std::move(file));
  return result;
}

Result<Counts> parse_tensor(const SafeTensor& tensor, std::size_t experts, const std::string& path) {
  const std::string where = fmt::format("{}: tensor '{}'", path, tensor.name.substr(0, 64));
  const std::size_t split = tensor.name.find('_');
  const std::string_view name = tensor.name;
  const auto iteration = split == std::string::npos ? std::nullopt : decimal(name.substr(0, split));
  const auto layer = split == std::string::npos ? std::nullopt : decimal(name.substr(split + 1));
  if (!iteration || !layer || *layer > static_cast<std::uint32_t>(kLayerIdMax)) {
    return invalid_input(
        fmt::format("{} is not named '{{iteration}}_{{layer}}' with a layer from 0 to {}; record the folder again",
                    where, kLayerIdMax));
  }
  if (tensor.dtype != "I64" || tensor.shape != std::vector<std::size_t>{experts}) {
    return invalid_input(fmt::format("{} is {} of shape ({}) but {} says I64 of ({}); record the folder again", where,
                                     tensor.dtype, fmt::join(tensor.shape, ", "), kMetaInfo, experts));
  }
  return Counts{*iteration, *layer, tensor.begin};
}

/// Holds that no name is there twice and that each iteration has the layers of the first.
Status check_layers(std::span<const Counts> counts, const std::string& path) {
  const auto twice = std::ranges::adjacent_find(counts, {}, &Counts::key);
  if (twice != counts.end()) {
    return invalid_input(fmt::format("{}: tensor '{}_{}' is given twice; record the folder again", path,
                                     twice->iteration, twice->layer));
  }
  const auto is_first = [&](const Counts& entry) { return entry.iteration == counts.front().iteration; };
  const auto layers = static_cast<std::size_t>(std::ranges::count_if(counts, is_first));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const Counts& first = counts[i % layers];
    const std::uint32_t iteration = counts[i - i % layers].iteration;
    const bool is_whole = i % layers != 0 || i + layers <= counts.size();
    if (!is_whole || counts[i].layer != first.layer || counts[i].iteration != iteration) {
      return invalid_input(fmt::format("{}: iteration {} has other layers than iteration {}; record the folder again",
                                       path, iteration, counts.front().iteration));
    }
  }
  return {};
}

Result<Rank> open_rank(const std::filesystem::path& path, std::size_t experts) {
  EVENKEEL_TRY(file, SafetensorsFile::open(path));
  std::vector<Counts> counts;
  for (const SafeTensor& tensor : file.tensors()) {
    EVENKEEL_TRY(entry, parse_tensor(tensor, experts, file.path()));
    counts.push_back(entry);
  }
  std::ranges::sort(counts, {}, &Counts::key);
  EVENKEEL_TRY_STATUS(check_layers(counts, file.path()));
  return Rank{std::move(file), std::move(counts)};
}

/// Adds what a rank has of an iteration.
Status add_iteration(std::uint32_t iteration, std::span<const int> layer_ids, Rank& rank, Grid<std::uint64_t>& loads) {
  std::vector<std::int64_t> counts(loads.cols());
  for (; rank.next < rank.counts.size() && rank.counts[rank.next].iteration == iteration; ++rank.next) {
    const Counts& entry = rank.counts[rank.next];
    EVENKEEL_TRY_STATUS(rank.file.read(entry.offset, std::as_writable_bytes(std::span(counts))));
    const auto row = std::ranges::lower_bound(layer_ids, static_cast<int>(entry.layer)) - layer_ids.begin();
    const auto sums = loads[static_cast<std::size_t>(row)];
    for (std::size_t expert = 0; expert < counts.size(); ++expert) {
      if (counts[expert] < 0 || static_cast<std::uint64_t>(counts[expert]) > kCountMax ||
          (sums[expert] += static_cast<std::uint64_t>(counts[expert])) > kCountMax) {
        return invalid_input(fmt::format(
            "{}: tensor '{}_{}' has {} for expert {}; counts of tokens are 0 or above, over all ranks at most {}",
            rank.file.path(), iteration, entry.layer, counts[expert], expert, kCountMax));
      }
    }
  }
  return {};
}

}  // namespace

bool is_trtllm_statistics(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error) && std::filesystem::exists(path / kMetaInfo, error);
}

Status read_trtllm_statistics(const std::filesystem::path& folder, const ReadOptions& options, RecordingSink& sink) {
  const std::string path = folder.string();
  EVENKEEL_TRY(info, read_meta_info(folder));
  const std::size_t experts = info.experts;
  EVENKEEL_TRY_STATUS(check_experts(path, experts, options));
  EVENKEEL_TRY(files, rank_files(folder));
  std::vector<Rank> ranks;
  std::set<std::uint32_t> iterations;
  std::set<int> layers;
  for (const auto& file : files) {
    EVENKEEL_TRY(rank, open_rank(file, experts));
    for (const Counts& entry : rank.counts) {
      iterations.insert(entry.iteration);
      layers.insert(static_cast<int>(entry.layer));
    }
    ranks.push_back(std::move(rank));
  }
  if (layers.empty() || layers.size() > kLayersMax) {
    return invalid_input(
        fmt::format("{}: its ranks count {} layers; 1 to {} are accepted", path, layers.size(), kLayersMax));
  }
  RecordingHeader header;
  header.layer_ids.assign(layers.begin(), layers.end());
  header.moe_layer_ids = header.layer_ids;
  header.experts = experts;
  header.experts_per_token = info.experts_per_token;
  header.has_loads = true;
  EVENKEEL_TRY_STATUS(sink.begin(path, header));
  std::size_t done = 0;
  for (const std::uint32_t iteration : iterations) {
    Grid<std::uint64_t> loads(header.layer_ids.size(), experts);
    for (Rank& rank : ranks) EVENKEEL_TRY_STATUS(add_iteration(iteration, header.layer_ids, rank, loads));
    EVENKEEL_TRY_STATUS(sink.loads({.load_tokens = std::move(loads)}));
    report_progress(options, ++done, iterations.size());
  }
  return sink.end();
}

}  // namespace evenkeel
