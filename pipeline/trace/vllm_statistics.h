#pragma once

#include <filesystem>
#include <string_view>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Whether a file that starts with `head` (4 KiB are enough) holds vLLM's records.
[[nodiscard]] constexpr bool is_vllm_statistics(std::string_view head) {
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && head[first] == '{' &&
         head.substr(0, head.find('\n', first)).find("\"record_type\"") != std::string_view::npos;
}

/// Reads vLLM's load statistics, one JSON record a line (record_type "eplb_load_stats"): expert_load [layers, slots],
/// of which p2l_map [layers, slots] says whose load it is. Each line is a window; its loads are of all ranks already.
/// Rows count MoE layers from 0; layers_of_rows() gives their numbers. Memory: one line, of at most 16 MiB, and its
/// parse. Fails with kInvalidInput.
[[nodiscard]] Status read_vllm_statistics(const std::filesystem::path& path, const ReadOptions& options,
                                          RecordingSink& sink);

}  // namespace evenkeel
