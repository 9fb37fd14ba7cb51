#include "pipeline/trace/json_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <optional>
#include <set>
#include <vector>

namespace evenkeel {
namespace {

/// A parsed document takes up to eight times its text.
constexpr std::uintmax_t kJsonBytesMax = std::uintmax_t{32} << 20;

/// Watches a parse for keys that an object sets twice.
class KeyWatch {
 public:
  bool operator()(nlohmann::json::parse_event_t event, const nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(value.get<std::string>()).second && !repeated_)
      repeated_ = value.get<std::string>();
    return true;
  }
  [[nodiscard]] const std::optional<std::string>& repeated() const { return repeated_; }

 private:
  /// Of every object that is open.
  std::vector<std::set<std::string>> keys_;
  std::optional<std::string> repeated_;
};

}  // namespace

Status check_regular_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error || !std::filesystem::exists(status)) {
    return invalid_input(fmt::format("{}: it cannot be read ({}); check the path", path.string(),
                                     error ? error.message() : "No such file or directory"));
  }
  if (std::filesystem::is_directory(status))
    return invalid_input(fmt::format("{}: it is a folder; give a file", path.string()));
  if (!std::filesystem::is_regular_file(status)) {
    return invalid_input(fmt::format("{}: it is a pipe or device; write its content to a file first", path.string()));
  }
  if (!std::ifstream(path))
    return invalid_input(
        fmt::format("{}: it cannot be read ({}); check its rights", path.string(), std::strerror(errno)));
  return {};
}

Result<nlohmann::json> read_json(const std::filesystem::path& path, RepeatedKeys repeated) {
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kJsonBytesMax) {
    return invalid_input(
        fmt::format("{}: it has {} bytes; JSON of at most {} is accepted", path.string(), bytes, kJsonBytesMax));
  }
  try {
    std::ifstream in(path, std::ios::binary);
    if (repeated == RepeatedKeys::kLastWins) return nlohmann::json::parse(in);
    KeyWatch watch;
    auto document =
        nlohmann::json::parse(in, [&](int, auto event, const nlohmann::json& value) { return watch(event, value); });
    if (watch.repeated())
      return invalid_input(fmt::format("{}: key '{}' is set twice; keep one", path.string(), *watch.repeated()));
    return document;
  } catch (const nlohmann::json::parse_error& parse_error) {
    return invalid_input(
        fmt::format("{}: it is not valid JSON at byte {}; write the file again", path.string(), parse_error.byte));
  } catch (const std::exception& other) {
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
