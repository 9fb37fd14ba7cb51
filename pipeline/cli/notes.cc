#include "pipeline/cli/notes.h"

#include <fmt/format.h>

#include <cstdio>

#include "pipeline/flags/field_flags.h"

namespace evenkeel {

void print_note(const std::string& text) { fmt::print(stderr, "note: {}\n", text); }

void print_notes(const CLI::App& program, const std::vector<Note>& notes) {
  for (const Note& note : notes) print_note(with_flags(program, note.text, note.fields));
}

}  // namespace evenkeel
