#include "rebalancer/net/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <string>

namespace evenkeel::rebalancer {
namespace {

/// "127.x.y.z" as an address, not as the beginning of a host's name such as 127.0.0.1.example.org.
bool is_loopback_v4(const std::string& host) {
  constexpr std::uint32_t kLoopbackNet = 127;
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == kLoopbackNet;
}

}  // namespace

bool is_local_endpoint(std::string_view endpoint) {
  if (endpoint.starts_with("ipc://")) return true;
  constexpr std::string_view kTcp = "tcp://";
  if (!endpoint.starts_with(kTcp)) return false;
  endpoint.remove_prefix(kTcp.size());
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string host(endpoint.substr(0, colon));
  return host == "localhost" || host == "[::1]" || is_loopback_v4(host);
}

Status require_local(std::string_view option, std::string_view endpoint) {
  if (is_local_endpoint(endpoint)) return {};
  return invalid_input(fmt::format(
      "{} is {}, which other machines can reach and nothing authenticates; give tcp://127.0.0.1:PORT or ipc://PATH, or "
      "--insecure to accept any peer",
      option, endpoint));
}

}  // namespace evenkeel::rebalancer
