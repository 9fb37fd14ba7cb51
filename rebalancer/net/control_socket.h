#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

#include "agents/shell/zmq_adapter.h"
#include "partition/foundation/result.h"
#include "rebalancer/net/connection_guard.h"

namespace evenkeel::rebalancer {

/// What an operator asks for.
struct ControlRequest {
  /// One of kControlCommands.
  std::string command;
  /// Why, in the operator's words; may be empty.
  std::string reason;
  /// User-Id of the key it came with; empty where the socket has no keys.
  std::string user;
};

/// Reads {"command": C, "reason": R}. Pure. Fails with kInvalidInput for anything else, a command it does not know, or
/// a reason of more than 200 bytes.
[[nodiscard]] Result<ControlRequest> parse_control_request(const std::string& text);

/// Takes requests of `evenkeel status`, `freeze`, ...: one JSON object a message, answered by one. Never blocks. One
/// thread.
class ControlSocket {
 public:
  /// The answer to a request, or why not.
  using Handler = std::function<Result<nlohmann::ordered_json>(const ControlRequest&)>;
  /// Requests by command and whether they were carried out.
  using Counters = std::map<std::pair<std::string, std::string>, std::uint64_t>;

  /// Fails with kInvalidInput where the endpoint cannot be bound.
  [[nodiscard]] static Result<ControlSocket> bind(shell::SocketContext& context, const std::string& endpoint,
                                                  const shell::Curve& curve);

  [[nodiscard]] shell::Socket& socket() { return socket_; }
  void answer(const Handler& handler);
  [[nodiscard]] const Counters& counters() const { return counters_; }
  /// None over ipc: who may open the socket's file is trusted.
  [[nodiscard]] const ConnectionGuard* connections() const { return guard_.get(); }

 private:
  ControlSocket(shell::Socket socket, std::unique_ptr<ConnectionGuard> guard)
      : socket_(std::move(socket)), guard_(std::move(guard)) {}

  shell::Socket socket_;
  std::unique_ptr<ConnectionGuard> guard_;
  Counters counters_;
};

}  // namespace evenkeel::rebalancer
