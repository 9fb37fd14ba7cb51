#include "pipeline/trace/recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "partition/foundation/check.h"
#include "pipeline/trace/counts_table.h"
#include "pipeline/trace/json_file.h"
#include "pipeline/trace/known_layers.h"
#include "pipeline/trace/layer_lines.h"
#include "pipeline/trace/not_recorded.h"
#include "pipeline/trace/npy_recording.h"
#include "pipeline/trace/npz_recording.h"
#include "pipeline/trace/sglang_counts.h"
#include "pipeline/trace/sglang_recording.h"
#include "pipeline/trace/torch_archive.h"
#include "pipeline/trace/trtllm_statistics.h"
#include "pipeline/trace/vllm_statistics.h"

namespace evenkeel {
namespace {

/// Hands everything on that was recorded.
class RecordedSink : public RecordingSink {
 public:
  RecordedSink(const ReadOptions& options, RecordingSink& sink) : sink_(sink), not_recorded_(options) {}

  Status begin(const std::string& path, const RecordingHeader& header) override {
    if (header.top_k > 0) not_recorded_.begin(path, header);
    return sink_.begin(path, header);
  }
  Status loads(StageLoad window) override { return sink_.loads(std::move(window)); }
  Status begin_sequence(const SequenceLabel& label) override { return sink_.begin_sequence(label); }
  Status tokens(std::span<const ExpertIndex> experts) override {
    const auto recorded = not_recorded_.recorded(experts);
    return recorded.empty() ? Status() : sink_.tokens(recorded);
  }
  Status end() override { return sink_.end(); }
  /// After the last recording.
  [[nodiscard]] Status finish() const { return not_recorded_.finish(); }

 private:
  RecordingSink& sink_;
  NotRecorded not_recorded_;
};

enum class RecordingFormat {
  kNpz,
  kNpy,
  kSglangRecording,
  kTorchCounts,
  kSglangCounts,
  kLayerLines,
  kVllmStatistics,
  kTrtllmStatistics
};

/// Recognised by the first bytes, of archives by their entries.
Result<RecordingFormat> recognise(const std::filesystem::path& path) {
  if (is_trtllm_statistics(path)) return RecordingFormat::kTrtllmStatistics;
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> head{};
  in.read(head.data(), head.size());
  const std::string_view start(head.data(), static_cast<std::size_t>(in.gcount()));
  if (start.starts_with("PK")) {
    EVENKEEL_TRY(content, torch_content(path));
    if (content == TorchContent::kTensor) return RecordingFormat::kTorchCounts;
    return content == TorchContent::kOther ? RecordingFormat::kSglangRecording : RecordingFormat::kNpz;
  }
  if (is_npy(start)) return RecordingFormat::kNpy;
  EVENKEEL_TRY_STATUS(check_plain_text(path, start));
  if (is_vllm_statistics(start)) return RecordingFormat::kVllmStatistics;
  if (is_layer_lines(start)) return RecordingFormat::kLayerLines;
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && start[first] == '{') return RecordingFormat::kSglangCounts;
  return invalid_input(fmt::format(
      "{}: its content is {}; give an NPZ or .npy trace, SGLang's .pt or JSON counts, vLLM's load records, a folder of "
      "TensorRT-LLM statistics or a profile",
      path.string(), start.empty() ? "empty" : "of no known trace format"));
}

/// Files that are one recording.
struct Recording {
  RecordingFormat format;
  std::vector<std::filesystem::path> files;
};

/// Names that a folder's recordings end in; what else lies there is left out.
constexpr std::array<std::string_view, 5> kSuffixes{".pt", ".npz", ".npy", ".json", ".jsonl"};
constexpr std::size_t kFolderFilesMax = std::size_t{1} << 16;

/// The recordings in a folder by name, which dumps have by time.
Result<std::vector<std::filesystem::path>> files_of(const std::filesystem::path& folder, const ReadOptions& options) {
  std::vector<std::filesystem::path> files;
  std::size_t left_out = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const bool is_recording = std::ranges::find(kSuffixes, entry->path().extension().string()) != kSuffixes.end();
    if (!is_recording || entry->is_directory(error)) {
      ++left_out;
    } else if (files.push_back(entry->path()); files.size() > kFolderFilesMax) {
      return invalid_input(
          fmt::format("{}: it holds above {} recordings; give fewer", folder.string(), kFolderFilesMax));
    }
  }
  if (error)
    return invalid_input(
        fmt::format("{}: it cannot be listed ({}); check its rights", folder.string(), error.message()));
  if (files.empty()) {
    return invalid_input(
        fmt::format("{}: no file in this folder is named as a recording is ({}); give the folder of the "
                    "dumps",
                    folder.string(), fmt::join(kSuffixes, ", ")));
  }
  if (left_out > 0 && options.note) {
    options.note(fmt::format("{}: {} of its entries are left out, they are not named as recordings are ({})",
                             folder.string(), left_out, fmt::join(kSuffixes, ", ")));
  }
  std::ranges::sort(files);
  return files;
}

/// The files of what was given, folders of dumps opened.
Result<std::vector<std::filesystem::path>> all_files(const std::vector<std::filesystem::path>& paths,
                                                     const ReadOptions& options) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : paths) {
    std::error_code error;
    if (is_trtllm_statistics(path) || !std::filesystem::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    EVENKEEL_TRY(inside, files_of(path, options));
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

/// Every rank of an SGLang run writes files of its own, which are summed up: all of them are one recording, in the
/// place of the first.
Result<std::vector<Recording>> gather(const std::vector<std::filesystem::path>& paths) {
  std::vector<Recording> recordings;
  for (const auto& path : paths) {
    EVENKEEL_TRY(format, recognise(path));
    const auto run = std::ranges::find(recordings, RecordingFormat::kSglangRecording, &Recording::format);
    if (format == RecordingFormat::kSglangRecording && run != recordings.end()) {
      run->files.push_back(path);
    } else {
      recordings.push_back({format, {path}});
    }
  }
  return recordings;
}

Status read_recording(const Recording& recording, const ReadOptions& options, RecordingSink& sink) {
  switch (recording.format) {
    case RecordingFormat::kNpz:
      return read_npz_recording(recording.files.front(), options, sink);
    case RecordingFormat::kNpy:
      return read_npy_recording(recording.files.front(), options, sink);
    case RecordingFormat::kSglangRecording:
      return read_sglang_recording(recording.files, options, sink);
    case RecordingFormat::kTorchCounts:
      return read_torch_counts(recording.files.front(), options, sink);
    case RecordingFormat::kLayerLines:
      return read_layer_lines(recording.files.front(), options, sink);
    case RecordingFormat::kSglangCounts:
      return read_sglang_counts(recording.files.front(), options, sink);
    case RecordingFormat::kVllmStatistics:
      return read_vllm_statistics(recording.files.front(), options, sink);
    case RecordingFormat::kTrtllmStatistics:
      return read_trtllm_statistics(recording.files.front(), options, sink);
  }
  return {};
}

}  // namespace

Status read_recordings(const std::vector<std::filesystem::path>& paths, const ReadOptions& options,
                       RecordingSink& sink) {
  EVENKEEL_CHECK(!paths.empty(), "the command line asks for at least one trace");
  KnownLayersSink known(options, sink);
  RecordedSink recorded(options, known);
  EVENKEEL_TRY(files, all_files(paths, options));
  EVENKEEL_TRY(recordings, gather(files));
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    ReadOptions of_recording = options;
    if (options.progress) {
      of_recording.progress = [&](double share) {
        options.progress((static_cast<double>(i) + share) / static_cast<double>(recordings.size()));
      };
    }
    EVENKEEL_TRY_STATUS(read_recording(recordings[i], of_recording, recorded));
  }
  return recorded.finish();
}

Status check_same_model(const RecordingHeader& first, const RecordingHeader& next, const std::string& first_path,
                        const std::string& path) {
  const auto kind = [](const RecordingHeader& header) {
    return header.has_loads ? header.top_k > 0 ? "loads and a sample of token paths" : "loads only" : "token paths";
  };
  if (first.has_loads != next.has_loads || (first.top_k == 0) != (next.top_k == 0)) {
    return invalid_input(fmt::format("{}: it has {} but {} has {}; give recordings of one kind", path, kind(next),
                                     first_path, kind(first)));
  }
  if (first.has_loads && first.experts != next.experts) {
    return invalid_input(fmt::format("{}: it counts {} experts but {} counts {}; give recordings of one model", path,
                                     *next.experts, first_path, *first.experts));
  }
  if (first.layer_ids != next.layer_ids) {
    return invalid_input(
        fmt::format("{}: it has {} layers ({} to {}) but {} has {} ({} to {}); give recordings of one model, or say "
                    "which layers are MoE layers",
                    path, next.layer_ids.size(), next.layer_ids.front(), next.layer_ids.back(), first_path,
                    first.layer_ids.size(), first.layer_ids.front(), first.layer_ids.back()),
        {"model", "layer_ids"});
  }
  if (first.layer_of_round != next.layer_of_round || first.top_k != next.top_k) {
    return invalid_input(
        fmt::format("{}: its rounds or top-k differ from {}; give recordings of one model", path, first_path));
  }
  return {};
}

Result<std::vector<std::optional<int>>> layers_of_rows(std::size_t rows, const ReadOptions& options,
                                                       const std::string& where) {
  std::vector<std::optional<int>> layers(rows);
  const auto& moe = options.moe_layer_ids;
  const bool are_moe_layers = rows == moe.size() * options.rounds_per_layer;
  // Layer ids without a model do not tell how many layers there are in all.
  const bool may_be_hidden =
      !options.hidden_layers && !are_moe_layers && rows > static_cast<std::size_t>(moe.empty() ? 0 : moe.back());
  const bool are_hidden_layers = moe.empty() || rows == options.hidden_layers || may_be_hidden;
  if (!are_hidden_layers && !are_moe_layers) {
    if (options.model.empty()) {
      return invalid_input(
          fmt::format("{}: it has {} layers but layer ids {} to {} are given, {} in all; give those of its MoE layers",
                      where, rows, moe.front(), moe.back(), moe.size()),
          {"layer_ids"});
    }
    return invalid_input(
        fmt::format("{}: it has {} layers but model {} has {} MoE layers of {} in all; check the model", where, rows,
                    options.model, moe.size(), options.hidden_layers.value_or(moe.size())),
        {"model"});
  }
  for (std::size_t row = 0; row < rows; ++row) {
    const auto number = static_cast<int>(row);
    if (!are_hidden_layers) {
      layers[row] = moe[row / options.rounds_per_layer];
    } else if (moe.empty() || std::ranges::binary_search(moe, number)) {
      layers[row] = number;
    }
  }
  return layers;
}

}  // namespace evenkeel
