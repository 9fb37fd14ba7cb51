#include "agents/shell/zmq_adapter.h"

#include <fmt/format.h>

#include <utility>
#include <zmq.hpp>

#include "agents/wire/limits.h"

namespace evenkeel::shell {
namespace {

// Messages a peer's queue holds. Counts are cumulative and commands are repeated, so a full queue costs freshness only;
// 16 frames of at most 1 MiB bound what one peer can make us hold.
constexpr int kQueueMessages = 16;
// Long enough for a last acknowledgement on one machine or rack; a dead peer must not hold up the end of a program.
constexpr int kLingerMs = 1'000;
// Half-open connections are dropped; the default is 30 s.
constexpr int kHandshakeMs = 1'000;
// Notices a peer that went without closing its connection (power, cable).
constexpr int kHeartbeatMs = 1'000;
constexpr int kHeartbeatTimeoutMs = 3'000;
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 2'000;
// Agents of a whole cluster may connect at once after a restart; the default is 100.
constexpr int kBacklog = 4'096;

void set_limits(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(wire::kFrameBytesMax));
  socket.set(zmq::sockopt::sndhwm, kQueueMessages);
  socket.set(zmq::sockopt::rcvhwm, kQueueMessages);
  socket.set(zmq::sockopt::linger, kLingerMs);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
  socket.set(zmq::sockopt::backlog, kBacklog);
}

void set_role(zmq::socket_t& socket, int type, const std::string& topic) {
  // Without it a ROUTER drops messages to unknown peers in silence.
  if (type == ZMQ_ROUTER) socket.set(zmq::sockopt::router_mandatory, true);
  // Old reports must not pile up for a rebalancer that is away: send() says kFull instead.
  if (type == ZMQ_DEALER) socket.set(zmq::sockopt::immediate, true);
  if (type == ZMQ_SUB) socket.set(zmq::sockopt::subscribe, topic);
}

}  // namespace

SocketContext::SocketContext() : context_(std::make_unique<zmq::context_t>(1)) {}
SocketContext::~SocketContext() = default;

Socket::Socket(std::unique_ptr<zmq::socket_t> socket) : socket_(std::move(socket)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Result<Socket> Socket::open(SocketContext& context, int type, Attach attach, const std::string& endpoint,
                            const std::string& topic) {
  try {
    auto socket = std::make_unique<zmq::socket_t>(*context.context_, type);
    set_limits(*socket);
    set_role(*socket, type, topic);
    if (attach == Attach::kBind) {
      socket->bind(endpoint);
    } else {
      socket->connect(endpoint);
    }
    return Socket(std::move(socket));
  } catch (const zmq::error_t& error) {
    return invalid_input(
        fmt::format("endpoint {}: {}; give one like tcp://127.0.0.1:5591 that is free", endpoint, error.what()));
  }
}

Result<Socket> Socket::dealer(SocketContext& context, const std::string& endpoint) {
  return open(context, ZMQ_DEALER, Attach::kConnect, endpoint, "");
}
Result<Socket> Socket::subscriber(SocketContext& context, const std::string& endpoint, const std::string& topic) {
  return open(context, ZMQ_SUB, Attach::kConnect, endpoint, topic);
}
Result<Socket> Socket::router(SocketContext& context, const std::string& endpoint) {
  return open(context, ZMQ_ROUTER, Attach::kBind, endpoint, "");
}
Result<Socket> Socket::publisher(SocketContext& context, const std::string& endpoint) {
  return open(context, ZMQ_PUB, Attach::kBind, endpoint, "");
}

Socket::Sent Socket::send(std::span<const std::string> parts) {
  try {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto more = i + 1 < parts.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      if (!socket_->send(zmq::buffer(parts[i]), more | zmq::send_flags::dontwait)) return Sent::kFull;
    }
  } catch (const zmq::error_t&) {
    return Sent::kNoPeer;
  }
  return Sent::kQueued;
}

std::optional<Parts> Socket::receive() {
  Parts parts;
  try {
    zmq::message_t frame;
    do {
      if (!socket_->recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
      if (parts.size() < kPartsMax) parts.push_back(frame.to_string());
    } while (frame.more());
  } catch (const zmq::error_t&) {
    // Interrupted by a signal: the caller comes back.
    return std::nullopt;
  }
  return parts;
}

void Socket::wait(std::span<Socket* const> sockets, std::chrono::milliseconds timeout) {
  std::vector<zmq::pollitem_t> items;
  for (Socket* socket : sockets) items.push_back({socket->socket_->handle(), 0, ZMQ_POLLIN, 0});
  try {
    zmq::poll(items, timeout);
  } catch (const zmq::error_t&) {
    // As receive().
  }
}

}  // namespace evenkeel::shell
