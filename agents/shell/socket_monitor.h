#pragma once

#include <memory>
#include <optional>

#include "agents/shell/zmq_adapter.h"
#include "partition/foundation/result.h"

namespace evenkeel::shell {

/// What happened to a connection of a socket that binds.
struct ConnectionEvent {
  enum class Kind {
    kAccepted,         ///< TCP has it; the handshake begins.
    kReady,            ///< The handshake is done.
    kClosed,           ///< It has ended, for whatever reason.
    kRefusedKey,       ///< The ZAP handler refused it.
    kRefusedProtocol,  ///< Another mechanism, or no ZMTP.
    kHandshakeFailed,  ///< It ended, or was too slow, before the handshake was done.
  };
  Kind kind = Kind::kAccepted;
  /// Descriptor with kAccepted and kClosed, else -1.
  int connection = -1;
};

/// Tells of a socket's connections. Outlives nothing it was made from; used by the thread that uses the socket.
class SocketMonitor {
 public:
  /// Fails with kFailure where ZeroMQ cannot watch the socket.
  [[nodiscard]] static Result<SocketMonitor> watch(SocketContext& context, Socket& socket);

  SocketMonitor(SocketMonitor&&) noexcept;
  SocketMonitor& operator=(SocketMonitor&&) noexcept;
  ~SocketMonitor();

  /// The next event, oldest first, or nothing. Never blocks.
  [[nodiscard]] std::optional<ConnectionEvent> next();

 private:
  explicit SocketMonitor(std::unique_ptr<zmq::socket_t> events);

  std::unique_ptr<zmq::socket_t> events_;
};

}  // namespace evenkeel::shell
