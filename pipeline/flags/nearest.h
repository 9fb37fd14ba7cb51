#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace evenkeel {

/// The accepted word nearest to `word` by edit distance, or that starts with it; none where all are too far off to be
/// what was meant.
[[nodiscard]] std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> accepted);

/// "; did you mean 'x'?", or the empty string.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string> accepted);

}  // namespace evenkeel
