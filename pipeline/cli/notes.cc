#include "pipeline/cli/notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "pipeline/engine/layer_ranges.h"
#include "pipeline/flags/field_flags.h"

namespace evenkeel {

void print_note(const std::string& text) { fmt::print(stderr, "note: {}\n", text); }

void print_notes(const CLI::App& program, const std::vector<Note>& notes) {
  for (const Note& note : notes) print_note(with_flags(program, note.text, note.fields));
}

void note_unloaded_layers(const RoutingProfile& profile, bool has_running) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<int> unloaded;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    if (std::ranges::all_of(load[layer], [](auto tokens) { return tokens == 0; }))
      unloaded.push_back(profile.shape.layer_ids[layer]);
  }
  if (unloaded.empty()) return;
  print_note(fmt::format("MoE layers {} have no load; their experts {}", layer_ranges_text(unloaded),
                         has_running ? "stay where they are" : "are placed in order"));
}

}  // namespace evenkeel
