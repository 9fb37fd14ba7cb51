#include "pipeline/trace/sglang_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "partition/foundation/check.h"
#include "pipeline/trace/sglang_modes.h"

namespace evenkeel {
namespace {

std::string_view name_of(SglangMode mode) {
  switch (mode) {
    case SglangMode::kStat:
      return "stat";
    case SglangMode::kPerPass:
      return "per_pass";
    case SglangMode::kPerToken:
      return "per_token";
  }
  return "";
}

Status check_same_run(const SglangDump& first, const SglangDump& next) {
  if (first.mode != next.mode) {
    return invalid_input(fmt::format("{}: it was recorded in mode {} but {} in mode {}; give recordings of one mode",
                                     next.path, name_of(*next.mode), first.path, name_of(*first.mode)));
  }
  if (first.layers() == next.layers() && first.experts() == next.experts()) return {};
  return invalid_input(
      fmt::format("{}: it has {} layers of {} experts but {} has {} of {}; give recordings of one model", next.path,
                  next.layers(), next.experts(), first.path, first.layers(), first.experts()));
}

}  // namespace

Status read_sglang_recording(std::span<const std::filesystem::path> files, const ReadOptions& options,
                             RecordingSink& sink) {
  EVENKEEL_CHECK(!files.empty(), "a recording has a file");
  std::vector<SglangDump> dumps;
  for (const auto& file : files) {
    EVENKEEL_TRY(dump, open_sglang_dump(file));
    // A rank that saw no pass has nothing to add.
    if (!dump.mode && !(dumps.empty() && &file == &files.back())) continue;
    if (!dump.mode) return invalid_input(fmt::format("{}: records is empty; record some traffic first", dump.path));
    if (!dumps.empty()) EVENKEEL_TRY_STATUS(check_same_run(dumps.front(), dump));
    dumps.push_back(std::move(dump));
  }
  switch (*dumps.front().mode) {
    case SglangMode::kStat:
      return read_sglang_stat(dumps, options, sink);
    case SglangMode::kPerPass:
      return read_sglang_passes(dumps, options, sink);
    case SglangMode::kPerToken:
      return read_sglang_tokens(dumps, options, sink);
  }
  return {};
}

}  // namespace evenkeel
