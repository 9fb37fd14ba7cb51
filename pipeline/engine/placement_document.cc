#include "pipeline/engine/placement_document.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/config/yaml_document.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

/// What kind of recording a file starts like.
std::optional<std::string_view> recording_kind(std::string_view head) {
  if (head.starts_with("PK")) return "a zip archive, as a native NPZ trace or SGLang's .pt recording is";
  if (head.starts_with("\x93NUMPY")) return "a NumPy array, as recorded routing is";
  if (head.find("\"eplb_load_") != std::string_view::npos) return "vLLM's recorded loads";
  return std::nullopt;
}

tl::unexpected<Error> not_a_placement(const std::filesystem::path& path, std::string_view kind) {
  return invalid_input(
      fmt::format("{0}: it is {1}, not a placement; make one from a recording with 'evenkeel partition {0} -o FILE'",
                  path.string(), kind));
}

}  // namespace

Result<nlohmann::json> read_placement_document(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path / "meta_info.json", error))
    return not_a_placement(path, "a folder of TensorRT-LLM's recorded statistics");
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> bytes{};
  in.read(bytes.data(), bytes.size());
  const std::string_view head(bytes.data(), static_cast<std::size_t>(in.gcount()));
  if (const auto kind = recording_kind(head)) return not_a_placement(path, *kind);
  const std::size_t start = head.find_first_not_of(" \t\r\n");
  if (head.empty()) return invalid_input(fmt::format("{}: it is empty; give a placement", path.string()));
  const bool is_json = start != std::string_view::npos && (head[start] == '{' || head[start] == '[');
  if (!is_json) return read_yaml_document(path);
  EVENKEEL_TRY(document, read_json(path, RepeatedKeys::kRefused));
  if (document.is_object() && document.contains("logical_count"))
    return not_a_placement(path, "SGLang's recorded counts");
  return std::move(document);
}

}  // namespace evenkeel
