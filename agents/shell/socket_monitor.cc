#include "agents/shell/socket_monitor.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>
#include <zmq.hpp>

namespace evenkeel::shell {
namespace {

constexpr int kWatched = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                         ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

std::optional<ConnectionEvent> event_of(std::uint16_t number, std::int32_t value) {
  using enum ConnectionEvent::Kind;
  switch (number) {
    case ZMQ_EVENT_ACCEPTED:
      return ConnectionEvent{kAccepted, value};
    case ZMQ_EVENT_DISCONNECTED:
      return ConnectionEvent{kClosed, value};
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return ConnectionEvent{kReady};
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return ConnectionEvent{kRefusedKey};
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return ConnectionEvent{kRefusedProtocol};
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return ConnectionEvent{kHandshakeFailed};
    default:
      return std::nullopt;
  }
}

}  // namespace

SocketMonitor::SocketMonitor(std::unique_ptr<zmq::socket_t> events) : events_(std::move(events)) {}
SocketMonitor::SocketMonitor(SocketMonitor&&) noexcept = default;
SocketMonitor& SocketMonitor::operator=(SocketMonitor&&) noexcept = default;
SocketMonitor::~SocketMonitor() = default;

Result<SocketMonitor> SocketMonitor::watch(SocketContext& context, Socket& socket) {
  static std::atomic<std::uint64_t> monitors = 0;
  const std::string endpoint = fmt::format("inproc://monitor-{}", ++monitors);
  if (zmq_socket_monitor(socket.socket_->handle(), endpoint.c_str(), kWatched) != 0) {
    return failure(fmt::format("{}: {}", endpoint, zmq_strerror(zmq_errno())));
  }
  try {
    auto events = std::make_unique<zmq::socket_t>(*context.context_, ZMQ_PAIR);
    // Without a limit: ZeroMQ's I/O thread would wait for us in the middle of a flood of connections.
    events->set(zmq::sockopt::rcvhwm, 0);
    events->set(zmq::sockopt::linger, 0);
    events->connect(endpoint);
    return SocketMonitor(std::move(events));
  } catch (const zmq::error_t& error) {
    return failure(fmt::format("{}: {}", endpoint, error.what()));
  }
}

std::optional<ConnectionEvent> SocketMonitor::next() {
  try {
    while (true) {
      zmq::message_t head;
      zmq::message_t address;
      if (!events_->recv(head, zmq::recv_flags::dontwait)) return std::nullopt;
      if (head.more()) static_cast<void>(events_->recv(address));
      std::uint16_t number = 0;
      std::int32_t value = 0;
      if (head.size() != sizeof number + sizeof value) continue;
      std::memcpy(&number, head.data(), sizeof number);
      std::memcpy(&value, head.data<char>() + sizeof number, sizeof value);
      if (const auto event = event_of(number, value)) return event;
    }
  } catch (const zmq::error_t&) {
    // Interrupted by a signal: the caller comes back.
    return std::nullopt;
  }
}

}  // namespace evenkeel::shell
