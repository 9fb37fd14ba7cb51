#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpOptions {
  /// HOST:PORT; [::1]:PORT for IPv6. Port 0 takes a free one.
  std::string address;
  /// More are closed at once. A scraper needs one.
  std::size_t connections_max = 32;
  /// Bytes of a request's line and headers.
  std::uint32_t header_bytes_max = 8 * 1024;
  /// For a whole request, and for taking its answer.
  std::chrono::milliseconds timeout{5'000};
  /// Requests of one connection, which is then closed.
  std::uint32_t requests_max = 1'000;
};

/// Requests by what became of them.
struct HttpCounters {
  std::atomic<std::uint64_t> answered{0};
  /// Other methods, unknown paths.
  std::atomic<std::uint64_t> refused{0};
  /// Not HTTP, too large, or with a body.
  std::atomic<std::uint64_t> malformed{0};
  std::atomic<std::uint64_t> timed_out{0};
  std::atomic<std::uint64_t> connections_refused{0};
};

/// Answers GET and HEAD on a thread of its own, so that health can be asked for even when the service's loop stands
/// still. Reads nothing from a body and changes nothing. Its end waits for the thread.
class HttpServer {
 public:
  /// The answer to a path without its query; called on the server's thread.
  using Handler = std::function<HttpReply(std::string_view path)>;

  /// Fails with kInvalidInput where the address cannot be read or bound.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options, Handler handler);
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] const HttpCounters& counters() const;

 private:
  class Listener;
  explicit HttpServer(std::unique_ptr<Listener> listener);

  std::unique_ptr<Listener> listener_;
};

}  // namespace evenkeel::rebalancer
