#include "pipeline/trace/json_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace evenkeel {
namespace {

constexpr std::uintmax_t kJsonBytesMax = std::uintmax_t{1} << 30;

}  // namespace

Result<nlohmann::json> read_json(const std::filesystem::path& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > kJsonBytesMax) {
    return invalid_input(
        fmt::format("{}: it has {} bytes; JSON of at most {} is accepted", path.string(), bytes, kJsonBytesMax));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return invalid_input(
        fmt::format("{}: it cannot be read ({}); check the path", path.string(), std::strerror(errno)));
  try {
    return nlohmann::json::parse(in);
  } catch (const nlohmann::json::parse_error& parse_error) {
    return invalid_input(
        fmt::format("{}: it is not valid JSON at byte {}; write the file again", path.string(), parse_error.byte));
  } catch (const nlohmann::json::exception& other) {
    return invalid_input(
        fmt::format("{}: it is not valid JSON ({}); write the file again", path.string(), other.what()));
  }
}

std::string brief(const nlohmann::json& value) {
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (value.is_object()) return "an object";
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

}  // namespace evenkeel
