#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"
#include "pipeline/trace/torch_archive.h"

namespace evenkeel {

/// How SGLang's expert distribution recorder was run; stat_approx writes what stat does.
enum class SglangMode { kStat, kPerPass, kPerToken };

/// What one rank saw in one forward pass.
struct SglangRecord {
  std::int64_t pass = 0;
  std::int64_t rank = 0;
  std::string gatherer_key;
  /// Number of the record in its file, for messages.
  std::size_t number = 0;
  /// per_pass: tokens of each physical expert [layers, slots]. per_token: ids [layers, tokens, columns].
  StoredTensor tensor;
  /// per_token: tokens of each sequence that was extended; empty: not known.
  std::vector<std::uint32_t> sequence_tokens;
  /// per_token: as SequenceLabel's.
  std::optional<Stage> stage;
};

/// One dumped file, tensors still in the archive.
struct SglangDump {
  std::string path;
  TorchArchive archive;
  /// Absent: no pass was recorded.
  std::optional<SglangMode> mode;
  /// stat: tokens of each logical expert [steps, layers, experts].
  StoredTensor logical_count;
  /// The file has [layers, experts] alone, as one step.
  bool is_one_step = false;
  std::vector<SglangRecord> records;
  /// per_pass, per_token: logical expert of each physical one [layers, slots].
  Grid<ExpertIndex> logical_of_physical;

  [[nodiscard]] std::size_t layers() const;
  /// Logical experts, null experts among them.
  [[nodiscard]] std::size_t experts() const;
};

/// Opens a dump and checks all but its counts and ids. Fails with kInvalidInput.
[[nodiscard]] Result<SglangDump> open_sglang_dump(const std::filesystem::path& path);

/// Real experts of a recording that has `found` of them: held against the options, null experts taken off. Fails with
/// kInvalidInput, naming `path`.
[[nodiscard]] Result<std::size_t> real_experts(std::size_t found, const ReadOptions& options, const std::string& path);

/// A header of `layers` hidden layers. Fails with kInvalidInput where the options know of another number.
[[nodiscard]] Result<RecordingHeader> sglang_header(std::size_t layers, std::size_t experts, const ReadOptions& options,
                                                    const std::string& path);

/// Fails with kInvalidInput, naming `where`, for a tensor of more layers or experts than are accepted.
[[nodiscard]] Status check_counts_size(const StoredTensor& counts, const std::string& where);

/// Fills `out` with a row of counts. Fails with kInvalidInput for a negative one, a fraction or NaN; `place` names the
/// row, as in "x.pt: logical_count[5, 2".
[[nodiscard]] Status read_counts(const TensorData& counts, std::span<const std::size_t> indices,
                                 const std::string& place, std::span<std::int64_t> out);

/// Tells the options' note where counts are stored in floats of 16 bits.
void note_inexact_counts(const StoredTensor& counts, const std::string& where, const ReadOptions& options);

}  // namespace evenkeel
