#include "pipeline/trace/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "partition/foundation/check.h"
#include "pipeline/trace/json_file.h"
#include "pipeline/trace/known_layers.h"
#include "pipeline/trace/npy_recording.h"
#include "pipeline/trace/npz_recording.h"
#include "pipeline/trace/sglang_counts.h"
#include "pipeline/trace/sglang_recording.h"
#include "pipeline/trace/torch_archive.h"
#include "pipeline/trace/trtllm_statistics.h"
#include "pipeline/trace/vllm_statistics.h"

namespace evenkeel {
namespace {

enum class RecordingFormat { kNpz, kNpy, kSglangRecording, kSglangCounts, kVllmStatistics, kTrtllmStatistics };

/// Recognised by the first bytes, of archives by their entries.
Result<RecordingFormat> recognise(const std::filesystem::path& path) {
  if (is_trtllm_statistics(path)) return RecordingFormat::kTrtllmStatistics;
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> head{};
  in.read(head.data(), head.size());
  const std::string_view start(head.data(), static_cast<std::size_t>(in.gcount()));
  if (start.starts_with("PK")) {
    EVENKEEL_TRY(is_torch, is_torch_archive(path));
    return is_torch ? RecordingFormat::kSglangRecording : RecordingFormat::kNpz;
  }
  if (is_npy(start)) return RecordingFormat::kNpy;
  if (is_vllm_statistics(start)) return RecordingFormat::kVllmStatistics;
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
  KnownLayersSink checked(options, sink);
  EVENKEEL_TRY(recordings, gather(paths));
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    ReadOptions of_recording = options;
    if (options.progress) {
      of_recording.progress = [&](double share) {
        options.progress((static_cast<double>(i) + share) / static_cast<double>(recordings.size()));
      };
    }
    EVENKEEL_TRY_STATUS(read_recording(recordings[i], of_recording, checked));
  }
  return {};
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
