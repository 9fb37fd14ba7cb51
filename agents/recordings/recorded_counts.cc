#include "agents/recordings/recorded_counts.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace evenkeel::agent {
namespace {

using Counts = Grid<std::uint64_t>;

/// Sums the loads of a recording, or where there are none, its token paths.
class CountingSink : public RecordingSink {
 public:
  CountingSink(const RecordingOptions& options, RecordedCounts& counts) : options_(options), counts_(counts) {}

  Status begin(const std::string& path, const RecordingHeader& header) override {
    path_ = path;
    header_ = header;
    counts_.layer_ids = header.layer_ids;
    counts_.experts = header.experts.value_or(options_.read.experts.value_or(0));
    if (counts_.experts == 0) {
      return invalid_input(fmt::format("{}: it does not state its number of experts; give --experts", path));
    }
    if (counts_.layer_ids.size() * counts_.experts <= wire::kCellsMax) return {};
    return invalid_input(fmt::format("{}: it has {} layers of {} experts; at most {} counts are taken", path,
                                     counts_.layer_ids.size(), counts_.experts, wire::kCellsMax));
  }

  Status loads(StageLoad window) override {
    std::uint64_t choices = 0;
    for (std::size_t layer = 0; layer < window.load_tokens.rows(); ++layer) {
      const auto row = window.load_tokens[layer];
      choices = std::max(choices, std::reduce(row.begin(), row.end(), std::uint64_t{0}));
    }
    window.tokens = (choices + options_.top_k - 1) / options_.top_k;
    add(counts_of(window.stage), window);
    return {};
  }

  Status begin_sequence(const SequenceLabel& label) override {
    stage_ = label.stage.value_or(Stage::kMixed);
    return {};
  }

  Status tokens(std::span<const ExpertIndex> experts) override {
    if (header_.has_loads) return {};
    StageLoad& stage = counts_of(stage_);
    const std::size_t rounds = header_.layer_of_round.size();
    for (std::size_t i = 0; i < experts.size(); ++i) {
      if (experts[i] == kNoExpert) continue;
      if (experts[i] >= counts_.experts) {
        return invalid_input(
            fmt::format("{}: it has expert {}, of {}; give --experts", path_, experts[i], counts_.experts));
      }
      ++stage.load_tokens(header_.layer_of_round[i / header_.top_k % rounds], experts[i]);
    }
    stage.tokens += experts.size() / (rounds * header_.top_k);
    return {};
  }

 private:
  StageLoad& counts_of(Stage stage) {
    auto& counts = counts_.counts[index_of(stage)];
    if (!counts) counts = {stage, 0, Counts(counts_.layer_ids.size(), counts_.experts)};
    return *counts;
  }

  const RecordingOptions& options_;
  RecordedCounts& counts_;
  std::string path_;
  RecordingHeader header_;
  Stage stage_ = Stage::kMixed;
};

}  // namespace

std::optional<FileMark> mark_of(const std::filesystem::path& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return std::nullopt;
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  return FileMark{.written_ns = file.st_mtim.tv_sec * kNsPerSecond + file.st_mtim.tv_nsec,
                  .bytes = static_cast<std::uint64_t>(file.st_size),
                  .device = file.st_dev,
                  .inode = file.st_ino};
}

std::vector<StageLoad> RecordedCounts::stages() const {
  std::vector<StageLoad> present;
  for (const auto& stage : counts) {
    if (stage) present.push_back(*stage);
  }
  return present;
}

Result<RecordedCounts> count_recording(const std::filesystem::path& path, const RecordingOptions& options) {
  RecordedCounts counts;
  CountingSink sink(options, counts);
  EVENKEEL_TRY_STATUS(read_recordings({path}, options.read, sink));
  return counts;
}

Status add(RecordedCounts& sum, const RecordedCounts& more, const std::filesystem::path& path) {
  if (sum.has_model() && (sum.layer_ids != more.layer_ids || sum.experts != more.experts)) {
    return invalid_input(fmt::format(
        "{}: it has {} layers of {} experts, the recordings before it {} of {}; give it a folder of its own",
        path.string(), more.layer_ids.size(), more.experts, sum.layer_ids.size(), sum.experts));
  }
  auto counts = sum.counts;
  for (const auto& stage : more.counts) {
    if (!stage) continue;
    auto& into = counts[index_of(stage->stage)];
    if (!into) into = StageLoad{.stage = stage->stage};
    add(*into, *stage);
    const auto is_beyond = [](std::uint64_t count) { return count > wire::kTokensMax; };
    if (is_beyond(into->tokens) || std::ranges::any_of(into->load_tokens.cells(), is_beyond))
      return invalid_input(fmt::format("{}: it counts beyond 2^48 tokens; check the file", path.string()));
  }
  sum.counts = std::move(counts);
  sum.layer_ids = more.layer_ids;
  sum.experts = more.experts;
  return {};
}

}  // namespace evenkeel::agent
