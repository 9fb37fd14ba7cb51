#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agents/shell/curve_keys.h"
#include "partition/foundation/result.h"

namespace zmq {
class context_t;
class socket_t;
}  // namespace zmq

namespace evenkeel::shell {

/// ZeroMQ's I/O thread and its sockets. Outlives every Socket made from it. Thread-safe.
class SocketContext {
 public:
  SocketContext();
  ~SocketContext();
  SocketContext(const SocketContext&) = delete;
  SocketContext& operator=(const SocketContext&) = delete;

 private:
  friend class Socket;
  friend class SocketMonitor;
  std::unique_ptr<zmq::context_t> context_;
};

/// Frames of a message, the peer's routing id first where the socket is a ROUTER.
using Parts = std::vector<std::string>;

/// Most frames that receive() keeps: routing id, topic, sequence, payload, and one more that shows there were too many.
inline constexpr std::size_t kPartsMax = 5;

/// A message with what ZeroMQ knows of its sender.
struct Incoming {
  Parts parts;
  /// Frames that came, those beyond the kept ones too.
  std::size_t frames = 0;
  /// The name that the ZAP handler gave to the sender's key; empty without CURVE.
  std::string user;
  /// Descriptor of the connection it came over; -1 where there is none.
  int connection = -1;
};

/// One ZeroMQ socket with every limit set. Never blocks: what cannot be sent or is not there yet is said at once.
/// Used and closed by one thread. Makers fail with kInvalidInput, naming the endpoint.
class Socket {
 public:
  [[nodiscard]] static Result<Socket> dealer(SocketContext& context, const std::string& endpoint,
                                             const Curve& curve = {});
  [[nodiscard]] static Result<Socket> subscriber(SocketContext& context, const std::string& endpoint,
                                                 const std::string& topic, const Curve& curve = {});
  [[nodiscard]] static Result<Socket> router(SocketContext& context, const std::string& endpoint,
                                             const Curve& curve = {});
  [[nodiscard]] static Result<Socket> publisher(SocketContext& context, const std::string& endpoint,
                                                const Curve& curve = {});

  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  enum class Sent {
    kQueued,  ///< Handed to ZeroMQ, which may still lose it.
    kFull,    ///< The peer does not keep up, or is not connected.
    kNoPeer,  ///< A ROUTER does not know this routing id any more.
  };
  [[nodiscard]] Sent send(std::span<const std::string> parts);

  /// A whole message, or nothing where none has come. Frames beyond kPartsMax are dropped.
  [[nodiscard]] std::optional<Parts> receive();
  /// As receive(), with the sender; `parts_max` frames are kept.
  [[nodiscard]] std::optional<Incoming> receive_from(std::size_t parts_max = kPartsMax);

  /// Waits until one of the sockets has a message, at most `timeout`.
  static void wait(std::span<Socket* const> sockets, std::chrono::milliseconds timeout);

 private:
  explicit Socket(std::unique_ptr<zmq::socket_t> socket);
  friend class SocketMonitor;
  enum class Attach { kBind, kConnect };
  [[nodiscard]] static Result<Socket> open(SocketContext& context, int type, Attach attach, const std::string& endpoint,
                                           const std::string& topic, const Curve& curve);

  std::unique_ptr<zmq::socket_t> socket_;
};

}  // namespace evenkeel::shell
