#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include "pipeline/trace/sglang_modes.h"

namespace evenkeel {
namespace {

using SglangKey = std::tuple<std::int64_t, std::int64_t, std::string_view>;

SglangKey key_of(const SglangPart& part) { return {part.record->pass, part.record->rank, part.record->gatherer_key}; }

tl::unexpected<Error> twin_error(const SglangPart& first, const SglangPart& second) {
  return invalid_input(
      fmt::format("{}: records[{}] is pass {} of rank {}, as is records[{}] of {}; give the dumps of one "
                  "server run, each once",
                  second.dump->path, second.record->number, second.record->pass, second.record->rank,
                  first.record->number, first.dump->path));
}

/// The part that counted each layer, of those of one pass, rank and gatherer: pipeline stages number their ranks and
/// passes alike, and each counts the layers it has.
using Counted = std::vector<const SglangPart*>;

/// Adds a rank's counts of physical experts to the logical ones; null experts are left out.
Status add_record(const SglangPart& part, Counted& counted, Grid<std::uint64_t>& load) {
  const std::string where = fmt::format("{}: records[{}].global_physical_count", part.dump->path, part.record->number);
  EVENKEEL_TRY(data, part.dump->archive.read(part.record->tensor, where));
  const Grid<ExpertIndex>& map = part.dump->logical_of_physical;
  std::vector<std::int64_t> row(map.cols());
  for (std::size_t layer = 0; layer < map.rows(); ++layer) {
    EVENKEEL_TRY_STATUS(read_counts(data, std::array{layer}, fmt::format("{}[{}", where, layer), row));
    if (std::ranges::all_of(row, [](std::int64_t tokens) { return tokens == 0; })) continue;
    if (counted[layer] != nullptr) return twin_error(*counted[layer], part);
    counted[layer] = &part;
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      if (map(layer, slot) < load.cols()) load(layer, map(layer, slot)) += static_cast<std::uint64_t>(row[slot]);
    }
  }
  return {};
}

}  // namespace

std::vector<SglangPart> records_in_order(std::span<SglangDump> dumps) {
  std::vector<SglangPart> parts;
  for (SglangDump& dump : dumps) {
    for (const SglangRecord& record : dump.records) parts.push_back({&dump, &record});
  }
  std::ranges::stable_sort(parts, {}, key_of);
  return parts;
}

Status check_no_twins(std::span<const SglangPart> parts) {
  const auto twin = std::ranges::adjacent_find(parts, {}, key_of);
  return twin == parts.end() ? Status() : twin_error(twin[0], twin[1]);
}

void ReadingProgress::step() {
  const std::size_t before = done_ * 100 / steps_;
  ++done_;
  if (tell_ && done_ * 100 / steps_ != before) tell_(static_cast<double>(done_) / static_cast<double>(steps_));
}

Status read_sglang_passes(std::span<SglangDump> dumps, const ReadOptions& options, RecordingSink& sink) {
  const SglangDump& first = dumps.front();
  const std::vector<SglangPart> parts = records_in_order(dumps);
  EVENKEEL_TRY(experts, real_experts(first.experts(), options, first.path));
  EVENKEEL_TRY(header, sglang_header(first.layers(), experts, options, first.path));
  header.has_loads = true;
  EVENKEEL_TRY_STATUS(sink.begin(first.path, header));
  if (!parts.empty()) {
    note_inexact_counts(parts.front().record->tensor, fmt::format("{}: global_physical_count", first.path), options);
  }
  ReadingProgress progress(options, parts.size());
  std::size_t windows = 0;
  for (auto part = parts.begin(); part != parts.end();) {
    const std::int64_t pass = part->record->pass;
    Grid<std::uint64_t> load(first.layers(), experts);
    Counted counted(first.layers(), nullptr);
    for (const auto begin = part; part != parts.end() && part->record->pass == pass; ++part) {
      if (part != begin && key_of(*part) != key_of(part[-1])) counted.assign(first.layers(), nullptr);
      EVENKEEL_TRY_STATUS(add_record(*part, counted, load));
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
