#include "rebalancer/operator/service_client.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <optional>

#include "agents/shell/zmq_adapter.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/flags/setting.h"

namespace evenkeel {
namespace {

using Clock = std::chrono::steady_clock;

/// A state folder stands for the socket in it.
std::string endpoint_of(const std::string& text) {
  if (text.find("://") != std::string::npos) return text;
  return "ipc://" + (std::filesystem::path(text) / "control.sock").string();
}

Result<shell::Curve> curve_of(const ServiceArguments& arguments) {
  if (arguments.curve_secret.empty() && arguments.server_key.empty()) return shell::Curve{};
  EVENKEEL_TRY(own, shell::read_curve_secret("--curve-secret", arguments.curve_secret));
  EVENKEEL_TRY(server_key, shell::read_curve_public("--server-key", arguments.server_key));
  return shell::Curve{std::move(own), std::move(server_key)};
}

/// Sends once there is a connection, then waits for the answer.
std::optional<std::string> exchange(shell::Socket& socket, const std::string& request, Clock::time_point deadline) {
  constexpr std::chrono::milliseconds kWait{5};
  const std::array<shell::Socket*, 1> sockets{&socket};
  const std::array parts{request};
  bool is_sent = false;
  while (Clock::now() < deadline) {
    if (!is_sent) is_sent = socket.send(parts) == shell::Socket::Sent::kQueued;
    shell::Socket::wait(sockets, kWait);
    const auto answer = socket.receive();
    if (answer && !answer->empty()) return answer->front();
  }
  return std::nullopt;
}

}  // namespace

void ServiceArguments::add_to(CLI::App& command) {
  add_setting(command, "--endpoint", endpoint,
              "Where the rebalancer takes commands: its --control, or its --state folder")
      ->required();
  add_setting(command, "--curve-secret", curve_secret, "Secret key of an operator, where the endpoint has keys");
  add_setting(command, "--server-key", server_key, "Public key of the rebalancer, or its .pub file");
  add_parsed(command, "--timeout", timeout, parse_duration, "How long to wait for an answer, such as 500ms or 5s")
      ->default_str("5s");
}

Result<nlohmann::ordered_json> ServiceArguments::ask(const std::string& request, const std::string& reason) const {
  EVENKEEL_TRY(curve, curve_of(*this));
  const std::string where = endpoint_of(endpoint);
  shell::SocketContext context;
  EVENKEEL_TRY(socket, shell::Socket::dealer(context, where, curve));
  nlohmann::ordered_json question{{"command", request}};
  if (!reason.empty()) question["reason"] = reason;
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout);
  const auto text =
      exchange(socket, question.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), deadline);
  if (!text) {
    return failure(
        fmt::format("--endpoint {}: no answer within {} s; check that the rebalancer runs, that its --control is "
                    "this, and the keys",
                    where, timeout.count()));
  }
  auto answer = nlohmann::ordered_json::parse(*text, nullptr, false);
  if (!answer.is_object() || !answer.contains("ok"))
    return failure(fmt::format("--endpoint {}: it is no rebalancer", where));
  if (answer["ok"] != true) return invalid_input(answer.value("error", "the rebalancer refused"));
  return answer["status"];
}

}  // namespace evenkeel
