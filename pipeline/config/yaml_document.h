#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "partition/foundation/result.h"

namespace evenkeel {

/// A whole YAML file as JSON: maps with words as keys, lists, whole numbers in plain decimal form (YAML 1.1 would read
/// 010 as eight), anything else as text. Refused because data has no need of them and readers differ on them: aliases
/// and anchors (a few lines of them stand for gigabytes), tags, a key set twice, several documents, nesting beyond 8,
/// more than 64 MiB. Fails with kInvalidInput, naming file and line.
[[nodiscard]] Result<nlohmann::json> read_yaml_document(const std::filesystem::path& path);

}  // namespace evenkeel
