#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "pipeline/trace/sglang_modes.h"

namespace evenkeel {
namespace {

/// Adds a rank's counts of physical experts to the logical ones; null experts are left out.
Status add_record(const SglangPart& part, Grid<std::uint64_t>& load) {
  const std::string where = fmt::format("{}: records[{}].global_physical_count", part.dump->path, part.record->number);
  EVENKEEL_TRY(data, part.dump->archive.read(part.record->tensor, where));
  const Grid<ExpertIndex>& map = part.dump->logical_of_physical;
  std::vector<std::int64_t> row(map.cols());
  for (std::size_t layer = 0; layer < map.rows(); ++layer) {
    EVENKEEL_TRY_STATUS(read_counts(data, std::array{layer}, where, row));
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      if (map(layer, slot) < load.cols()) load(layer, map(layer, slot)) += static_cast<std::uint64_t>(row[slot]);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<SglangPart>> records_in_order(std::span<SglangDump> dumps) {
  std::vector<SglangPart> parts;
  for (SglangDump& dump : dumps) {
    for (const SglangRecord& record : dump.records) parts.push_back({&dump, &record});
  }
  const auto key = [](const SglangPart& part) {
    return std::tie(part.record->pass, part.record->rank, part.record->gatherer_key);
  };
  std::ranges::stable_sort(parts, {}, key);
  const auto twin = std::ranges::adjacent_find(parts, {}, key);
  if (twin == parts.end()) return parts;
  const SglangPart& first = twin[0];
  const SglangPart& second = twin[1];
  return invalid_input(
      fmt::format("{}: records[{}] is pass {} of rank {}, as is records[{}] of {}; give the dumps of one "
                  "server run, each once",
                  second.dump->path, second.record->number, second.record->pass, second.record->rank,
                  first.record->number, first.dump->path));
}

void ReadingProgress::step() {
  const std::size_t before = done_ * 100 / steps_;
  ++done_;
  if (tell_ && done_ * 100 / steps_ != before) tell_(static_cast<double>(done_) / static_cast<double>(steps_));
}

Status read_sglang_passes(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink) {
  const SglangDump& first = dumps.front();
  EVENKEEL_TRY(parts, records_in_order(dumps));
  EVENKEEL_TRY(experts, real_experts(first.experts(), options, first.path));
  EVENKEEL_TRY(header, sglang_header(first.layers(), experts, options, first.path));
  header.has_loads = true;
  EVENKEEL_TRY_STATUS(sink.begin(first.path, header));
  ReadingProgress progress(options, parts.size());
  std::size_t windows = 0;
  for (auto part = parts.begin(); part != parts.end();) {
    const std::int64_t pass = part->record->pass;
    Grid<std::uint64_t> load(first.layers(), experts);
    for (; part != parts.end() && part->record->pass == pass; ++part) {
      EVENKEEL_TRY_STATUS(add_record(*part, load));
      progress.step();
    }
    if (std::ranges::all_of(load.cells(), [](auto tokens) { return tokens == 0; })) continue;
    ++windows;
    EVENKEEL_TRY_STATUS(sink.loads({.load_tokens = std::move(load)}));
  }
  if (windows == 0)
    return invalid_input(fmt::format("{}: no record counts any token; record some traffic first", first.path));
  return sink.end();
}

}  // namespace evenkeel
