#include "pipeline/cli/notes.h"

#include <fmt/format.h>

#include <cstdio>

namespace evenkeel {

void print_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
}

}  // namespace evenkeel
