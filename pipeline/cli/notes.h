#pragma once

#include <string>
#include <vector>

namespace evenkeel {

/// Prints what a user should know of a result that is good, a line each on standard error, after "note: ".
void print_notes(const std::vector<std::string>& notes);

}  // namespace evenkeel
