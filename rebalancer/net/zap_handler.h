#pragma once

#include <cstdint>

#include "agents/shell/zmq_adapter.h"
#include "partition/foundation/result.h"
#include "rebalancer/net/authorised_keys.h"

namespace evenkeel::rebalancer {

/// ZeroMQ asks it about every client that wants to connect to a CURVE socket of its context (ZAP, RFC 27): known keys
/// get in and their messages bear the user's name, all others are refused. Start it before those sockets bind: without
/// a handler any key is taken. One thread.
class ZapHandler {
 public:
  /// Fails with kInvalidInput where the context has a handler already.
  [[nodiscard]] static Result<ZapHandler> start(shell::SocketContext& context, AuthorisedKeys keys);

  /// To wait for.
  [[nodiscard]] shell::Socket& socket() { return socket_; }
  /// Answers what has been asked. Never blocks.
  void answer();

  /// From the next connection and message on.
  void replace_keys(AuthorisedKeys keys) { keys_ = std::move(keys); }
  [[nodiscard]] const AuthorisedKeys& keys() const { return keys_; }
  [[nodiscard]] std::uint64_t admitted() const { return admitted_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  ZapHandler(AuthorisedKeys keys, shell::Socket socket) : keys_(std::move(keys)), socket_(std::move(socket)) {}

  AuthorisedKeys keys_;
  shell::Socket socket_;
  std::uint64_t admitted_ = 0;
  std::uint64_t refused_ = 0;
};

/// The answer to one request with its envelope, or nothing for what is no request. Pure.
[[nodiscard]] std::optional<shell::Parts> zap_reply(const shell::Parts& request, const AuthorisedKeys& keys);

}  // namespace evenkeel::rebalancer
