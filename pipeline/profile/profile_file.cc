#include "pipeline/profile/profile_file.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/check.h"
#include "pipeline/report/npz_writer.h"

namespace evenkeel {
namespace {

void add_number(NpzWriter& writer, std::string_view name, std::uint64_t value) {
  writer.add(name, "<u8", {}, std::as_bytes(std::span(&value, 1)));
}

void add_loads(NpzWriter& writer, const Trace& profile) {
  const std::vector<StageLoad>& windows = profile.load_windows;
  const std::size_t window_bytes = windows[0].load_tokens.cells().size_bytes();
  writer.add("loads", "<u8", {windows.size(), profile.shape.layers(), profile.shape.experts},
             [&windows, window_bytes, at = std::size_t{0}](std::span<std::byte> out) mutable {
               while (!out.empty()) {
                 const auto window = std::as_bytes(windows[at / window_bytes].load_tokens.cells());
                 const auto rest = window.subspan(at % window_bytes);
                 const auto part = rest.first(std::min(rest.size(), out.size()));
                 std::ranges::copy(part, out.begin());
                 out = out.subspan(part.size());
                 at += part.size();
               }
             });
  constexpr std::size_t kStageBytes = 8;
  std::vector<char> stages(windows.size() * kStageBytes, '\0');
  for (std::size_t i = 0; i < windows.size(); ++i) {
    std::ranges::copy(stage_name(windows[i].stage), stages.begin() + static_cast<std::ptrdiff_t>(i * kStageBytes));
  }
  writer.add("window_stage", "|S8", {windows.size()}, std::as_bytes(std::span(stages)));
}

/// `ids` are signed where a choice may be none, which is -1 on disk and, as it happens, in memory.
void add_paths(NpzWriter& writer, const Trace& profile) {
  const TokenPaths& paths = profile.paths;
  static_assert(static_cast<std::int16_t>(kNoExpert) == -1);
  const bool has_none = std::ranges::find(paths.experts, kNoExpert) != paths.experts.end();
  writer.add("ids", has_none ? "<i2" : "<u2", {paths.tokens(), paths.rounds(), paths.top_k},
             [all = std::as_bytes(std::span(paths.experts)), at = std::size_t{0}](std::span<std::byte> out) mutable {
               std::ranges::copy(all.subspan(at, out.size()), out.begin());
               at += out.size();
             });
  writer.add("seq_start", "<u8", {paths.sequence_start.size()}, std::as_bytes(std::span(paths.sequence_start)));
  writer.add("window", "<u4", {profile.window_of_sequence.size()},
             std::as_bytes(std::span(profile.window_of_sequence)));
  add_number(writer, "paths_one_in", profile.paths_one_in);
}

}  // namespace

Status write_profile(const std::filesystem::path& path, const Trace& profile) {
  EVENKEEL_CHECK(!profile.load_windows.empty(), "a profile has loads");
  NpzWriter writer(path);
  add_loads(writer, profile);
  std::vector<std::int32_t> layer_ids(profile.shape.layer_ids.begin(), profile.shape.layer_ids.end());
  if (!profile.paths.empty()) {
    layer_ids.clear();
    for (const std::uint32_t layer : profile.paths.layer_of_round) {
      layer_ids.push_back(profile.shape.layer_ids[layer]);
    }
  }
  writer.add("layer_ids", "<i4", {layer_ids.size()}, std::as_bytes(std::span(layer_ids)));
  if (!profile.undecided_layers.empty()) {
    std::vector<std::int32_t> decided;
    std::ranges::set_difference(profile.shape.layer_ids, profile.undecided_layers, std::back_inserter(decided));
    writer.add("moe_layer_ids", "<i4", {decided.size()}, std::as_bytes(std::span(decided)));
  }
  if (profile.shape.hidden_layers) add_number(writer, "hidden_layers", *profile.shape.hidden_layers);
  if (!profile.paths.empty()) add_paths(writer, profile);
  return writer.finish();
}

}  // namespace evenkeel
