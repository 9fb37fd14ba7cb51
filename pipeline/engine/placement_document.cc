#include "pipeline/engine/placement_document.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/config/yaml_document.h"
#include "pipeline/engine/torch_placement.h"
#include "pipeline/trace/json_file.h"
#include "pipeline/trace/layer_lines.h"
#include "pipeline/trace/npz.h"
#include "pipeline/trace/torch_archive.h"

namespace evenkeel {
namespace {

/// What kind of recording a file starts like.
std::optional<std::string_view> recording_kind(std::string_view head) {
  if (is_layer_lines(head)) return "lines of recorded counts";
  if (head.find("\"eplb_load_") != std::string_view::npos) return "vLLM's recorded loads";
  return std::nullopt;
}

/// The content of a zip archive.
Result<nlohmann::json> read_archive(const std::filesystem::path& path) {
  EVENKEEL_TRY(content, torch_content(path));
  if (content != TorchContent::kNoTorch) return read_torch_placement(path);
  EVENKEEL_TRY(archive, NpzArchive::open(path));
  if (archive.has("ids") || archive.has("loads")) return not_a_placement(path, "a native NPZ trace or profile");
  return invalid_input(
      fmt::format("{}: it is a zip archive without a placement; give one of JSON, YAML, SGLang's .pt or "
                  "a pattern in .npy",
                  path.string()));
}

}  // namespace

tl::unexpected<Error> not_a_placement(const std::filesystem::path& path, std::string_view kind) {
  return invalid_input(
      fmt::format("{0}: it is {1}, not a placement; make one from a recording with 'evenkeel partition {0} -o FILE'",
                  path.string(), kind));
}

Result<nlohmann::json> read_placement_document(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path / "meta_info.json", error))
    return not_a_placement(path, "a folder of TensorRT-LLM's recorded statistics");
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> bytes{};
  in.read(bytes.data(), bytes.size());
  const std::string_view head(bytes.data(), static_cast<std::size_t>(in.gcount()));
  if (head.starts_with("PK")) return read_archive(path);
  EVENKEEL_TRY_STATUS(check_plain_text(path, head));
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
