#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pipeline/trace/sglang_modes.h"

namespace evenkeel {
namespace {

/// Reads one step; null experts, which come last, are left out.
Result<Grid<std::uint64_t>> read_step(SglangDump& dump, std::size_t step, std::size_t experts) {
  const std::string where = fmt::format("{}: logical_count", dump.path);
  EVENKEEL_TRY(data, dump.archive.rows(dump.logical_count, step, 1, where));
  Grid<std::uint64_t> load(dump.layers(), experts);
  std::vector<std::int64_t> row(dump.experts());
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const std::string place =
        dump.is_one_step ? fmt::format("{}[{}", where, layer) : fmt::format("{}[{}, {}", where, step, layer);
    EVENKEEL_TRY_STATUS(read_counts(data, std::array{std::size_t{0}, layer}, place, row));
    std::copy_n(row.begin(), experts, load[layer].begin());
  }
  return load;
}

}  // namespace

Status read_sglang_stat(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink) {
  const SglangDump& first = dumps.front();
  EVENKEEL_TRY(experts, real_experts(first.experts(), options, first.path));
  EVENKEEL_TRY(header, sglang_header(first.layers(), experts, options, first.path));
  header.has_loads = true;
  EVENKEEL_TRY_STATUS(sink.begin(first.path, header));
  std::size_t steps = 0;
  for (const SglangDump& dump : dumps) steps += static_cast<std::size_t>(dump.logical_count.size[0]);
  ReadingProgress progress(options, steps);
  note_inexact_counts(first.logical_count, fmt::format("{}: logical_count", first.path), options);
  std::size_t windows = 0;
  for (SglangDump& dump : dumps) {
    for (std::size_t step = 0; step < static_cast<std::size_t>(dump.logical_count.size[0]); ++step) {
      EVENKEEL_TRY(load, read_step(dump, step, experts));
      progress.step();
      // Rows of the recorder's ring that no pass has reached yet.
      if (std::ranges::all_of(load.cells(), [](auto tokens) { return tokens == 0; })) continue;
      ++windows;
      EVENKEEL_TRY_STATUS(sink.loads({.load_tokens = std::move(load)}));
    }
  }
  if (windows == 0)
    return invalid_input(fmt::format("{}: logical_count is all zero; record some traffic first", first.path));
  return sink.end();
}

}  // namespace evenkeel
