#include "rebalancer/net/control_socket.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace evenkeel::rebalancer {
namespace {

constexpr std::array<std::string_view, 6> kCommands{"status",  "freeze",     "unfreeze",
                                                    "trigger", "dry-run-on", "dry-run-off"};
constexpr std::size_t kRequestBytesMax = 1'024;
// Below the limit of a text on the wire: agents are told the reason of an ABORT.
constexpr std::size_t kReasonBytesMax = 200;
constexpr int kRequestsPerStepMax = 16;

nlohmann::ordered_json refusal(const std::string& message) { return {{"ok", false}, {"error", message}}; }

}  // namespace

Result<ControlRequest> parse_control_request(const std::string& text) {
  if (text.size() > kRequestBytesMax) {
    return invalid_input(fmt::format("the request has {} bytes; at most {} are taken", text.size(), kRequestBytesMax));
  }
  const auto request = nlohmann::json::parse(text, nullptr, false);
  if (!request.is_object()) return invalid_input("the request is no JSON object; send {\"command\": \"status\"}");
  ControlRequest wanted;
  for (const auto& [key, value] : request.items()) {
    if ((key != "command" && key != "reason") || !value.is_string()) {
      return invalid_input(fmt::format("'{}' is no text of a request; send command and reason", key));
    }
    (key == "command" ? wanted.command : wanted.reason) = value.get<std::string>();
  }
  if (std::ranges::find(kCommands, wanted.command) == kCommands.end()) {
    return invalid_input(fmt::format("'{}' is no command; send one of {}", wanted.command, fmt::join(kCommands, ", ")));
  }
  if (wanted.reason.size() > kReasonBytesMax) {
    return invalid_input(
        fmt::format("the reason has {} bytes; at most {} are taken", wanted.reason.size(), kReasonBytesMax));
  }
  return wanted;
}

Result<ControlSocket> ControlSocket::bind(shell::SocketContext& context, const std::string& endpoint,
                                          const shell::Curve& curve) {
  EVENKEEL_TRY(socket, shell::Socket::router(context, endpoint, curve));
  std::unique_ptr<ConnectionGuard> guard;
  if (endpoint.starts_with("tcp://")) {
    EVENKEEL_TRY(watching, ConnectionGuard::watch(context, socket, kOfSmallTalk));
    guard = std::move(watching);
  }
  return ControlSocket(std::move(socket), std::move(guard));
}

void ControlSocket::answer(const Handler& handler) {
  for (int i = 0; i < kRequestsPerStepMax; ++i) {
    const auto incoming = socket_.receive_from();
    if (!incoming) return;
    if (guard_) guard_->took_message(incoming->connection, ConnectionGuard::Sender::kStranger);
    auto request = incoming->frames == 2 ? parse_control_request(incoming->parts[1])
                                         : Result<ControlRequest>(invalid_input("a request is one frame"));
    const std::string command = request ? request->command : "malformed";
    if (request) request->user = incoming->user;
    const auto answer = request ? handler(*request) : tl::unexpected(request.error());
    ++counters_[{command, answer ? "done" : "refused"}];
    const auto reply = answer ? *answer : refusal(answer.error().message);
    const std::array parts{incoming->parts.front(),
                           reply.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace)};
    // Whoever asked and went has no use for it.
    static_cast<void>(socket_.send(parts));
  }
}

}  // namespace evenkeel::rebalancer
