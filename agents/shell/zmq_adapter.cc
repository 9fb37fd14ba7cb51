#include "agents/shell/zmq_adapter.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <utility>
#include <zmq.hpp>

#include "agents/wire/limits.h"

namespace evenkeel::shell {
namespace {

// Messages a peer's queue holds. Counts are cumulative and commands are repeated, so a full queue costs freshness only;
// 16 frames of at most 2 MiB bound what one peer can make us hold.
constexpr int kQueueMessages = 16;
// Bytes that the kernel takes in before ZeroMQ does. Left to itself it grows to 6 MB (tcp_rmem), all of which ZeroMQ
// still reads of a connection that was ended.
constexpr int kReceiveBytes = 64 * 1024;
// Long enough for a last acknowledgement on one machine or rack; a dead peer must not hold up the end of a program.
constexpr int kLingerMs = 1'000;
// Half-open connections are dropped; the default is 30 s.
constexpr int kHandshakeMs = 1'000;
// Notices a peer that went without closing its connection (power, cable) within some 11 s. Not by ZeroMQ's heartbeats:
// libzmq 4.3.4 ends the program (assertion !_io_error) where a peer fills its queue and goes, and a heartbeat is due.
constexpr int kKeepaliveIdleSeconds = 5;
constexpr int kKeepaliveIntervalSeconds = 2;
constexpr int kKeepaliveCount = 3;
// The same where something is under way to it.
constexpr int kUnansweredMs = 10'000;
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 2'000;
// Agents of a whole cluster may connect at once after a restart; the default is 100.
constexpr int kBacklog = 4'096;
// A topic of two names is 140 bytes, the longest command of a CURVE handshake some 300.
constexpr std::int64_t kSubscriptionBytesMax = 1'024;

void set_limits(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(wire::kFrameBytesMax));
  socket.set(zmq::sockopt::sndhwm, kQueueMessages);
  socket.set(zmq::sockopt::rcvhwm, kQueueMessages);
  socket.set(zmq::sockopt::rcvbuf, kReceiveBytes);
  socket.set(zmq::sockopt::linger, kLingerMs);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, kKeepaliveIdleSeconds);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, kKeepaliveIntervalSeconds);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, kKeepaliveCount);
  socket.set(zmq::sockopt::tcp_maxrt, kUnansweredMs);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
  socket.set(zmq::sockopt::backlog, kBacklog);
}

/// Whoever binds is the server, whose ZAP handler says which keys are welcome.
void set_curve(zmq::socket_t& socket, bool is_server, const Curve& curve) {
  if (!curve.is_on()) return;
  socket.set(zmq::sockopt::curve_secretkey, curve.own.secret_key);
  socket.set(zmq::sockopt::curve_publickey, curve.own.public_key);
  if (is_server) {
    socket.set(zmq::sockopt::curve_server, true);
    socket.set(zmq::sockopt::zap_domain, "evenkeel");
  } else {
    socket.set(zmq::sockopt::curve_serverkey, curve.server_key);
  }
}

void set_role(zmq::socket_t& socket, int type, const std::string& topic) {
  // Without it a ROUTER drops messages to unknown peers in silence.
  if (type == ZMQ_ROUTER) socket.set(zmq::sockopt::router_mandatory, true);
  // Old reports must not pile up for a rebalancer that is away: send() says kFull instead.
  if (type == ZMQ_DEALER) socket.set(zmq::sockopt::immediate, true);
  if (type == ZMQ_SUB) socket.set(zmq::sockopt::subscribe, topic);
  // Only subscriptions come in: one that is longer than any topic is no agent's.
  if (type == ZMQ_PUB) socket.set(zmq::sockopt::maxmsgsize, kSubscriptionBytesMax);
}

/// A property of a message's connection, or null.
const char* property(zmq::message_t& frame, const char* name) { return zmq_msg_gets(frame.handle(), name); }

void note_sender(zmq::message_t& frame, Incoming& incoming) {
  if (const char* user = property(frame, "User-Id")) incoming.user = user;
  // ZMQ_SRCFD by its property: absent over inproc, where the function would set errno only.
  if (const char* connection = property(frame, "__fd")) {
    std::from_chars(connection, connection + std::strlen(connection), incoming.connection);
  }
}

}  // namespace

SocketContext::SocketContext() : context_(std::make_unique<zmq::context_t>(1)) {}
SocketContext::~SocketContext() = default;

Socket::Socket(std::unique_ptr<zmq::socket_t> socket) : socket_(std::move(socket)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Result<Socket> Socket::open(SocketContext& context, int type, Attach attach, const std::string& endpoint,
                            const std::string& topic, const Curve& curve) {
  try {
    auto socket = std::make_unique<zmq::socket_t>(*context.context_, type);
    set_limits(*socket);
    set_role(*socket, type, topic);
    set_curve(*socket, attach == Attach::kBind, curve);
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

Result<Socket> Socket::dealer(SocketContext& context, const std::string& endpoint, const Curve& curve) {
  return open(context, ZMQ_DEALER, Attach::kConnect, endpoint, "", curve);
}
Result<Socket> Socket::subscriber(SocketContext& context, const std::string& endpoint, const std::string& topic,
                                  const Curve& curve) {
  return open(context, ZMQ_SUB, Attach::kConnect, endpoint, topic, curve);
}
Result<Socket> Socket::router(SocketContext& context, const std::string& endpoint, const Curve& curve) {
  return open(context, ZMQ_ROUTER, Attach::kBind, endpoint, "", curve);
}
Result<Socket> Socket::publisher(SocketContext& context, const std::string& endpoint, const Curve& curve) {
  return open(context, ZMQ_PUB, Attach::kBind, endpoint, "", curve);
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
  auto incoming = receive_from();
  if (!incoming) return std::nullopt;
  return std::move(incoming->parts);
}

std::optional<Incoming> Socket::receive_from(std::size_t parts_max) {
  Incoming incoming;
  try {
    zmq::message_t frame;
    do {
      if (!socket_->recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
      if (incoming.frames++ < parts_max) incoming.parts.push_back(frame.to_string());
    } while (frame.more());
    note_sender(frame, incoming);
  } catch (const zmq::error_t&) {
    // Interrupted by a signal: the caller comes back.
    return std::nullopt;
  }
  return incoming;
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
