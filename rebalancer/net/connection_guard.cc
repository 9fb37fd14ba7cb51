#include "rebalancer/net/connection_guard.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
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

/// Bytes of a TCP connection that ZeroMQ has taken from the kernel; none where it is no TCP or has gone.
std::optional<std::uint64_t> bytes_taken(int descriptor) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  int unread = 0;
  if (ioctl(descriptor, FIONREAD, &unread) != 0) return std::nullopt;
  return info.tcpi_bytes_received - std::min<std::uint64_t>(info.tcpi_bytes_received, static_cast<unsigned>(unread));
}

}  // namespace

ConnectionCounters& ConnectionCounters::operator+=(const ConnectionCounters& other) {
  accepted += other.accepted;
  ready += other.ready;
  closed += other.closed;
  closed_without_message += other.closed_without_message;
  refused_key += other.refused_key;
  refused_protocol += other.refused_protocol;
  handshakes_failed += other.handshakes_failed;
  ended_unfinished += other.ended_unfinished;
  ended_too_many += other.ended_too_many;
  ended_unauthorised += other.ended_unauthorised;
  return *this;
}

Result<std::unique_ptr<ConnectionGuard>> ConnectionGuard::watch(shell::SocketContext& context, shell::Socket& socket,
                                                                const UnfinishedBytes& limits) {
  EVENKEEL_TRY(monitor, shell::SocketMonitor::watch(context, socket));
  return std::unique_ptr<ConnectionGuard>(new ConnectionGuard(std::move(monitor), limits));
}

ConnectionGuard::ConnectionGuard(shell::SocketMonitor monitor, const UnfinishedBytes& limits)
    : limits_(limits), monitor_(std::move(monitor)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

ConnectionGuard::~ConnectionGuard() = default;

void ConnectionGuard::took_message(int connection, Sender sender) { note(connection, sender == Sender::kAgent, false); }

void ConnectionGuard::end_unauthorised(int connection) { note(connection, false, true); }

void ConnectionGuard::note(int connection, bool is_agent, bool is_unauthorised) {
  std::string peer = peer_of(connection);
  if (peer.empty()) return;
  const std::scoped_lock lock(mutex_);
  Word& word = words_[connection];
  if (word.peer != peer) word = {.peer = std::move(peer)};
  word.is_agent |= is_agent;
  word.is_unauthorised |= is_unauthorised;
}

void ConnectionGuard::emptied() {
  const std::scoped_lock lock(mutex_);
  was_emptied_ = true;
}

ConnectionCounters ConnectionGuard::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

std::size_t ConnectionGuard::connections() const {
  const std::scoped_lock lock(mutex_);
  return connection_count_;
}

void ConnectionGuard::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    look();
    std::unique_lock lock(mutex_);
    counters_ = counting_;
    connection_count_ = connections_.size();
    wake_.wait_for(lock, stop, kCheckInterval * (1 + connections_.size() / kConnectionsOfLook), [] { return false; });
  }
}

void ConnectionGuard::look() {
  bool was_emptied = false;
  heard_.clear();
  {
    const std::scoped_lock lock(mutex_);
    heard_.swap(words_);
    was_emptied = std::exchange(was_emptied_, false);
  }
  // Whatever there is word of was accepted before.
  read_events();
  for (const auto& [descriptor, word] : heard_) hear(descriptor, word);
  for (auto& [descriptor, connection] : connections_) measure(descriptor, connection, was_emptied);
}

void ConnectionGuard::hear(int descriptor, const Word& word) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end() || found->second.peer != word.peer) return;
  Connection& connection = found->second;
  connection.had_message = true;
  if (word.is_agent && !std::exchange(connection.is_agent, true)) ++agents_;
  connection.is_suspect = false;
  connection.bytes_at_message = bytes_taken(descriptor).value_or(connection.bytes_at_message);
  if (word.is_unauthorised && end(descriptor, connection)) ++counting_.ended_unauthorised;
}

std::uint64_t ConnectionGuard::stranger_max() const {
  const std::uint64_t share = limits_.of_strangers_max / std::max<std::size_t>(connections_.size() - agents_, 1);
  return std::clamp(share, limits_.of_stranger_min, limits_.of_stranger_max);
}

void ConnectionGuard::measure(int descriptor, Connection& connection, bool was_emptied) {
  const auto taken = connection.is_ended ? std::nullopt : bytes_taken(descriptor);
  const std::uint64_t most = connection.is_agent ? limits_.of_agent_max : stranger_max();
  if (!taken || *taken <= connection.bytes_at_message + most) return;
  const bool may_be_whole = connection.is_agent && *taken <= connection.bytes_at_message + 2 * most;
  const bool is_first_look = !std::exchange(connection.is_suspect, true);
  if (may_be_whole && (is_first_look || !was_emptied)) return;
  if (end(descriptor, connection)) ++counting_.ended_unfinished;
}

void ConnectionGuard::read_events() {
  using enum shell::ConnectionEvent::Kind;
  while (const auto event = monitor_.next()) {
    switch (event->kind) {
      case kAccepted: {
        ++counting_.accepted;
        Connection& connection = connections_[event->connection];
        if (connection.is_agent) --agents_;
        connection = {.peer = peer_of(event->connection)};
        if (connections_.size() > kConnectionsMax && end(event->connection, connection)) ++counting_.ended_too_many;
        break;
      }
      case kReady:
        ++counting_.ready;
        break;
      case kClosed:
        on_closed(event->connection);
        break;
      case kRefusedKey:
        ++counting_.refused_key;
        break;
      case kRefusedProtocol:
        ++counting_.refused_protocol;
        break;
      case kHandshakeFailed:
        ++counting_.handshakes_failed;
        break;
    }
  }
}

void ConnectionGuard::on_closed(int connection) {
  ++counting_.closed;
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  const auto word = heard_.find(connection);
  const bool has_word = word != heard_.end() && word->second.peer == found->second.peer;
  if (!found->second.had_message && !has_word) ++counting_.closed_without_message;
  if (found->second.is_agent) --agents_;
  connections_.erase(found);
}

bool ConnectionGuard::end(int descriptor, Connection& connection) const {
  // ZeroMQ owns the descriptor and closes it once it sees the end; it may have done so and use the number again.
  if (connection.peer.empty() || peer_of(descriptor) != connection.peer) return false;
  connection.is_ended = shutdown(descriptor, SHUT_RDWR) == 0;
  return connection.is_ended;
}

}  // namespace evenkeel::rebalancer
