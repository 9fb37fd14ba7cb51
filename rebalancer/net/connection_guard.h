#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>

#include "agents/shell/socket_monitor.h"
#include "agents/shell/zmq_adapter.h"
#include "agents/wire/limits.h"
#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

/// What became of the connections of one socket.
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

  ConnectionCounters& operator+=(const ConnectionCounters& other);
};

/// Most bytes that a connection may bring without a whole message among them.
struct UnfinishedBytes {
  /// Of whoever has not been taken in as an agent yet: a HELLO is 4 KB at most, and a report that comes before it, of
  /// 58 layers of 256 experts in two stages, 90 KB. An agent that comes back with more is ended, and says HELLO.
  std::uint64_t of_stranger_max = 256 * 1024;
  std::uint64_t of_stranger_min = 16 * 1024;
  /// Of all strangers together: each has its share between those two.
  std::uint64_t of_strangers_max = 1024 * 1024;
  /// The largest message with its framing, encrypted, and ZeroMQ's read-ahead.
  std::uint64_t of_agent_max = wire::kFrameBytesMax + 64 * 1024;
};
/// Subscribers send a topic when they connect, and nothing else; operators a request of a line.
inline constexpr UnfinishedBytes kOfSmallTalk{.of_stranger_max = 16 * 1024};

/// Holds what one peer can make ZeroMQ keep. MAXMSGSIZE limits a frame, but nothing limits the frames of a message, and
/// ZeroMQ keeps them, out of our reach, until the last has come. So the guard reads from the kernel how many bytes of
/// each connection ZeroMQ has taken (TCP_INFO, FIONREAD) and ends one that has brought too many since its last whole
/// message. It does so in a thread of its own: what comes in until it looks must not depend on how busy the service is.
/// Connections over ipc are not measured: who may open the socket's file is trusted that far.
/// Thread-safe; its makers' thread is that of the socket.
class ConnectionGuard {
 public:
  /// Two for each of the most agents: an old one may linger.
  static constexpr std::size_t kConnectionsMax = 2 * wire::kAgentsMax;
  /// For so many connections; less often where there are more, since a look takes about a microsecond for each.
  static constexpr std::chrono::milliseconds kCheckInterval{10};
  static constexpr std::size_t kConnectionsOfLook = 128;

  /// Fails with kFailure where ZeroMQ cannot watch the socket.
  [[nodiscard]] static Result<std::unique_ptr<ConnectionGuard>> watch(shell::SocketContext& context,
                                                                      shell::Socket& socket,
                                                                      const UnfinishedBytes& limits);
  ~ConnectionGuard();

  enum class Sender { kStranger, kAgent };
  /// A whole message came over a connection.
  void took_message(int connection, Sender sender);
  /// No whole message is left in the socket.
  void emptied();
  /// Ends the connection of a sender that has no rights any more.
  void end_unauthorised(int connection);

  [[nodiscard]] ConnectionCounters counters() const;
  /// Connections there are now.
  [[nodiscard]] std::size_t connections() const;

 private:
  struct Connection {
    /// Address and port of the other side: a descriptor's number is used again, this is not.
    std::string peer;
    /// Bytes taken when a whole message was there last.
    std::uint64_t bytes_at_message = 0;
    bool had_message = false;
    bool is_agent = false;
    bool is_ended = false;
    /// It was beyond a message when last looked at. What it sent may be whole and wait for the service: only where the
    /// service has emptied the socket since, it is not.
    bool is_suspect = false;
  };
  /// What the socket's thread says of a connection.
  struct Word {
    std::string peer;
    bool is_agent = false;
    bool is_unauthorised = false;
  };

  ConnectionGuard(shell::SocketMonitor monitor, const UnfinishedBytes& limits);

  void run(const std::stop_token& stop);
  void look();
  void note(int connection, bool is_agent, bool is_unauthorised);
  void read_events();
  void on_closed(int connection);
  void hear(int descriptor, const Word& word);
  [[nodiscard]] std::uint64_t stranger_max() const;
  void measure(int descriptor, Connection& connection, bool was_emptied);
  [[nodiscard]] bool end(int descriptor, Connection& connection) const;

  UnfinishedBytes limits_;
  // Of the guard's thread.
  shell::SocketMonitor monitor_;
  std::unordered_map<int, Connection> connections_;
  std::size_t agents_ = 0;
  ConnectionCounters counting_;
  /// What was said since the look before.
  std::unordered_map<int, Word> heard_;

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::unordered_map<int, Word> words_;
  bool was_emptied_ = false;
  ConnectionCounters counters_;
  std::size_t connection_count_ = 0;

  // Last: it uses all of the above.
  std::jthread thread_;
};

}  // namespace evenkeel::rebalancer
