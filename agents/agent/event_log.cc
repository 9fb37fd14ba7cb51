#include "agents/agent/event_log.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace evenkeel::agent {

Result<EventLog> EventLog::open(const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::app);
  if (!file) {
    return invalid_input(
        fmt::format("--log-json {}: it cannot be opened; give a file that can be written", path.string()));
  }
  return EventLog(std::move(file));
}

void EventLog::write(const std::string& worker, const wire::Note& note) {
  const auto elapsed = std::chrono::steady_clock::now() - started_;
  nlohmann::ordered_json line{{"event", note.event},
                              {"elapsed_ms", std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count()},
                              {"worker", worker}};
  for (const auto& [name, value] : note.fields) {
    std::visit([&, &key = name](const auto& v) { line[key] = v; }, value);
  }
  file_ << line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
}

}  // namespace evenkeel::agent
