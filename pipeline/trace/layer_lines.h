#pragma once

#include <filesystem>
#include <string_view>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Whether a file that starts with `head` (4 KiB are enough) holds lines of a layer and its counts.
[[nodiscard]] constexpr bool is_layer_lines(std::string_view head) {
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && head[first] == '{' &&
         head.substr(0, head.find('\n', first)).find("\"counts\"") != std::string_view::npos;
}

/// Reads JSON lines {"layer": 3, "counts": [...]}: the tokens of each expert of a layer, by its number in the model.
/// A line whose layer was there already begins the next window; every window has the layers of the first. Other keys
/// are ignored. Memory: a window. Fails with kInvalidInput.
[[nodiscard]] Status read_layer_lines(const std::filesystem::path& path, const ReadOptions& options,
                                      RecordingSink& sink);

}  // namespace evenkeel
