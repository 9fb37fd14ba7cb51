#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "agents/shell/socket_monitor.h"
#include "agents/shell/zmq_adapter.h"
#include "agents/wire/limits.h"
#include "partition/model/result.h"

namespace evenkeel::rebalancer {

/// What became of the connections of one ROUTER.
struct ConnectionCounters {
  std::uint64_t accepted = 0;
  std::uint64_t ready = 0;
  std::uint64_t closed = 0;
  /// Ended before one whole message had come: port scans, frames beyond MAXMSGSIZE, silent peers.
  std::uint64_t closed_without_message = 0;
  std::uint64_t refused_key = 0;
  std::uint64_t refused_protocol = 0;
  std::uint64_t handshakes_failed = 0;
  /// Ended by us: more bytes than any message has, and none was whole.
  std::uint64_t ended_unfinished = 0;
  /// Ended by us: there were too many.
  std::uint64_t ended_too_many = 0;
  /// Ended by us: the sender's key has lost its rights.
  std::uint64_t ended_unauthorised = 0;
};

/// Holds what one peer can make ZeroMQ keep. MAXMSGSIZE limits a frame, but nothing limits the frames of a message, and
/// ZeroMQ keeps them until the last has come. So the guard reads from the kernel how many bytes of each connection
/// ZeroMQ has taken (TCP_INFO, FIONREAD) and ends one that is beyond a whole message without having sent any.
/// Connections over ipc are not measured: who may open the socket's file is trusted that far. One thread, the socket's.
class ConnectionGuard {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// The largest message with its framing, encrypted, and ZeroMQ's read-ahead.
  static constexpr std::uint64_t kUnfinishedBytesMax = wire::kFrameBytesMax + 64 * 1024;
  /// Two for each of the most agents: an old one may linger.
  static constexpr std::size_t kConnectionsMax = 2 * wire::kAgentsMax;
  /// For so many connections; less often where there are more.
  static constexpr std::chrono::milliseconds kCheckInterval{20};
  static constexpr std::size_t kConnectionsOfLook = 256;

  [[nodiscard]] static Result<ConnectionGuard> watch(shell::SocketContext& context, shell::Socket& router);

  /// A whole message came over a connection.
  void took_message(int connection);
  /// To be called when the ROUTER has no whole message left. Looks at most once a kCheckInterval.
  void check(TimePoint now);
  /// Ends the connection of a sender that has no rights any more.
  void end_unauthorised(int connection);

  [[nodiscard]] const ConnectionCounters& counters() const { return counters_; }
  /// Connections there are now.
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection {
    /// Address and port of the other side: a descriptor's number is used again, this is not.
    std::string peer;
    /// Bytes taken when a whole message was there last.
    std::uint64_t bytes_at_message = 0;
    bool took_message = false;
    bool had_message = false;
    /// It was beyond a message when last looked at. A message may have become whole since the ROUTER was emptied, so
    /// one look alone proves nothing.
    bool is_suspect = false;
  };

  explicit ConnectionGuard(shell::SocketMonitor monitor) : monitor_(std::move(monitor)) {}

  void read_events();
  void on_closed(int connection);
  [[nodiscard]] bool end(int descriptor, const Connection& connection);

  shell::SocketMonitor monitor_;
  std::unordered_map<int, Connection> connections_;
  std::optional<TimePoint> checked_at_;
  ConnectionCounters counters_;
};

}  // namespace evenkeel::rebalancer
