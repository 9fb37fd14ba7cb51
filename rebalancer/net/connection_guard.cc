#include "rebalancer/net/connection_guard.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace evenkeel::rebalancer {
namespace {

/// Address and port of the other side as bytes; empty for what is no connection.
std::string peer_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  return {reinterpret_cast<const char*>(&address), length};
}

/// Bytes that a TCP connection has brought; none where it is no TCP or has gone.
std::optional<std::uint64_t> bytes_received(int descriptor) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  return info.tcpi_bytes_received;
}

/// Of them, those that wait in the kernel.
std::uint64_t bytes_unread(int descriptor) {
  int waiting = 0;
  return ioctl(descriptor, FIONREAD, &waiting) == 0 ? static_cast<std::uint64_t>(waiting) : 0;
}

}  // namespace

Result<ConnectionGuard> ConnectionGuard::watch(shell::SocketContext& context, shell::Socket& router) {
  EVENKEEL_TRY(monitor, shell::SocketMonitor::watch(context, router));
  return ConnectionGuard(std::move(monitor));
}

void ConnectionGuard::took_message(int connection) {
  auto found = connections_.find(connection);
  if (found == connections_.end()) {
    read_events();
    found = connections_.find(connection);
  }
  if (found == connections_.end()) return;
  found->second.took_message = true;
  found->second.had_message = true;
}

void ConnectionGuard::check(TimePoint now) {
  read_events();
  // Looking takes about a microsecond a connection; many honest ones must not fill the time.
  const auto interval = kCheckInterval * (1 + connections_.size() / kConnectionsOfLook);
  if (checked_at_ && now - *checked_at_ < interval) return;
  checked_at_ = now;
  for (auto& [descriptor, connection] : connections_) {
    const auto bytes = bytes_received(descriptor);
    if (!bytes) continue;
    if (std::exchange(connection.took_message, false))
      connection.bytes_at_message = *bytes - std::min(*bytes, bytes_unread(descriptor));
    const std::uint64_t most = connection.bytes_at_message + kUnfinishedBytesMax;
    const bool is_beyond = *bytes > most && *bytes > most + bytes_unread(descriptor);
    // Twice over, no message that became whole just now explains it.
    const bool is_far_beyond = is_beyond && *bytes > most + kUnfinishedBytesMax + bytes_unread(descriptor);
    const bool was_suspect = std::exchange(connection.is_suspect, is_beyond);
    if (!is_far_beyond && !(is_beyond && was_suspect)) continue;
    if (end(descriptor, connection)) ++counters_.ended_unfinished;
    connection = {.peer = connection.peer, .bytes_at_message = *bytes, .had_message = connection.had_message};
  }
}

void ConnectionGuard::end_unauthorised(int connection) {
  read_events();
  const auto found = connections_.find(connection);
  if (found != connections_.end() && end(connection, found->second)) ++counters_.ended_unauthorised;
}

void ConnectionGuard::read_events() {
  using enum shell::ConnectionEvent::Kind;
  while (const auto event = monitor_.next()) {
    switch (event->kind) {
      case kAccepted: {
        ++counters_.accepted;
        Connection& connection = connections_[event->connection] = {.peer = peer_of(event->connection)};
        if (connections_.size() > kConnectionsMax && end(event->connection, connection)) ++counters_.ended_too_many;
        break;
      }
      case kReady:
        ++counters_.ready;
        break;
      case kClosed:
        on_closed(event->connection);
        break;
      case kRefusedKey:
        ++counters_.refused_key;
        break;
      case kRefusedProtocol:
        ++counters_.refused_protocol;
        break;
      case kHandshakeFailed:
        ++counters_.handshakes_failed;
        break;
    }
  }
}

void ConnectionGuard::on_closed(int connection) {
  ++counters_.closed;
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  if (!found->second.had_message) ++counters_.closed_without_message;
  connections_.erase(found);
}

bool ConnectionGuard::end(int descriptor, const Connection& connection) {
  // ZeroMQ owns the descriptor and closes it once it sees the end; it may have done so and use the number again.
  if (connection.peer.empty() || peer_of(descriptor) != connection.peer) return false;
  return shutdown(descriptor, SHUT_RDWR) == 0;
}

}  // namespace evenkeel::rebalancer
