#include "rebalancer/net/zap_handler.h"

#include "agents/shell/curve_keys.h"

namespace evenkeel::rebalancer {
namespace {

constexpr const char* kEndpoint = "inproc://zeromq.zap.01";

// Frames of a request as a ROUTER gets it.
enum Frame : std::size_t { kPeer, kEmpty, kVersion, kRequest, kDomain, kAddress, kIdentity, kMechanism, kKey, kFrames };

constexpr std::size_t kStatusFrame = 4;

}  // namespace

Result<ZapHandler> ZapHandler::start(shell::SocketContext& context, AuthorisedKeys keys) {
  EVENKEEL_TRY(socket, shell::Socket::router(context, kEndpoint));
  return ZapHandler(std::move(keys), std::move(socket));
}

void ZapHandler::answer() {
  while (const auto request = socket_.receive_from(kFrames)) {
    const auto reply = zap_reply(request->parts, keys_);
    if (!reply) continue;
    ++((*reply)[kStatusFrame] == "200" ? admitted_ : refused_);
    // The asking session is in this process: where it has gone, nobody waits for the answer.
    static_cast<void>(socket_.send(*reply));
  }
}

std::optional<shell::Parts> zap_reply(const shell::Parts& request, const AuthorisedKeys& keys) {
  if (request.size() < kMechanism + 1 || request[kVersion] != "1.0") return std::nullopt;
  const bool is_curve = request.size() == kFrames && request[kMechanism] == "CURVE";
  const std::string* user = is_curve ? keys.user_of(shell::curve_key_text(request[kKey])) : nullptr;
  shell::Parts reply(request.begin(), request.begin() + kRequest + 1);
  if (user) {
    reply.insert(reply.end(), {"200", "OK", *user, ""});
  } else {
    reply.insert(reply.end(), {"400", "this key is not authorised", "", ""});
  }
  return reply;
}

}  // namespace evenkeel::rebalancer
