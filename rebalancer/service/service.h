#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agents/shell/logging.h"
#include "agents/shell/stop_signals.h"
#include "partition/foundation/result.h"
#include "rebalancer/http/http_server.h"
#include "rebalancer/net/control_socket.h"
#include "rebalancer/observe/metrics.h"
#include "rebalancer/observe/status_board.h"
#include "rebalancer/server/server.h"
#include "rebalancer/service/settings.h"

namespace evenkeel::rebalancer {

/// The running program: a server, with what operators see and do. One thread, and HTTP's.
class Service {
 public:
  /// Reads the settings again, from where they came. For SIGHUP.
  using Reread = std::function<Result<Settings>()>;

  /// Opens journal and endpoints. Fails with kInvalidInput for settings that cannot be, kFailure for the journal.
  [[nodiscard]] static Result<std::unique_ptr<Service>> start(Settings settings, Reread reread);

  /// Serves until a signal asks it to end, then drains. The program's exit code. Fails with kFailure where the journal
  /// cannot be written.
  [[nodiscard]] Result<int> run(shell::StopSignals& signals);

 private:
  explicit Service(Settings settings, Reread reread);

  [[nodiscard]] Status open();
  [[nodiscard]] Status open_operators_side(const shell::Curve& curve);
  [[nodiscard]] Status serve_once();
  [[nodiscard]] Status drain(shell::StopSignals& signals);
  void observe(const wire::Note& note);
  void observe_recovery(const Recovery& recovery);

  void reload();
  [[nodiscard]] Status take_settings(Settings wanted);

  [[nodiscard]] Result<nlohmann::ordered_json> handle(const ControlRequest& request);
  [[nodiscard]] Status authorise(const ControlRequest& request) const;
  [[nodiscard]] nlohmann::ordered_json status() const;
  [[nodiscard]] HttpReply http_reply(std::string_view path);
  [[nodiscard]] std::string board_text(StatusBoard::Topic topic) const;

  Settings settings_;
  Reread reread_;
  shell::Log log_;
  ServiceCounters counters_;
  bool is_draining_ = false;
  /// A failed command, which ends the service: the journal could not be written.
  Status failure_;
  std::chrono::steady_clock::time_point started_at_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point watchdog_at_{};

  shell::SocketContext context_;
  std::optional<Server> server_;
  std::optional<ControlSocket> control_;
  StatusBoard board_;
  // Last: its thread asks the board.
  std::unique_ptr<HttpServer> http_;
};

}  // namespace evenkeel::rebalancer
