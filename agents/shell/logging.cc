#include "agents/shell/logging.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace evenkeel::shell {
namespace {

constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 17> kWarnings{
    "contact_lost",          "epoch_aborted",     "log_lines_suppressed",  "message_dropped",       "message_refused",
    "peers_unauthenticated", "reload_failed",     "setting_needs_restart", "connection_closed",     "control_refused",
    "connections_refused",   "drain_ended_early", "recording_refused",     "recordings_unreadable", "probe_refused",
    "worker_given_up",       "worker_fenced"};

}  // namespace

Status LogSettings::validate() const {
  if (std::ranges::find(kLevels, level) == kLevels.end()) {
    return invalid_input(fmt::format("--log-level is {}; give debug, info, warning or error", level));
  }
  if (format == "text" || format == "json") return {};
  return invalid_input(fmt::format("--log-format is {}; give text or json", format));
}

std::string level_of(const wire::Note& note) {
  return std::ranges::find(kWarnings, note.event) == kWarnings.end() ? "info" : "warning";
}

std::string json_members(const wire::Note& note) {
  nlohmann::ordered_json object{{"event", note.event}};
  for (const auto& [name, value] : note.fields) {
    std::visit([&, &key = name](const auto& v) { object[key] = v; }, value);
  }
  const std::string text = object.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  return text.substr(1, text.size() - 2);
}

Log::Log(const std::string& program, const LogSettings& settings) : is_json_(settings.format == "json") {
  spdlog::set_default_logger(spdlog::stderr_color_mt(program));
  spdlog::set_pattern(is_json_ ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","program":"%n","level":"%l",%v})"
                               : "%Y-%m-%dT%H:%M:%S.%eZ %n %l %v",
                      spdlog::pattern_time_type::utc);
  set_level(settings.level);
}

void Log::write(const wire::Note& note) {
  const auto level = spdlog::level::from_str(level_of(note));
  if (!spdlog::should_log(level) || !limit_.admits(std::chrono::steady_clock::now())) return;
  // As an argument: what a peer wrote is never a format.
  spdlog::log(level, "{}", is_json_ ? json_members(note) : key_values(note));
}

void Log::set_level(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

}  // namespace evenkeel::shell
