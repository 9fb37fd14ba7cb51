#include "agents/shell/endpoint.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <charconv>
#include <cstdint>

namespace evenkeel::shell {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
/// Without the zero that ends it.
constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;

bool is_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && end == digits.data() + digits.size() && port > 0;
}

}  // namespace

Status validate_endpoint(std::string_view option, std::string_view endpoint) {
  if (endpoint.starts_with(kTcp) && is_host_and_port(endpoint.substr(kTcp.size()))) return {};
  if (endpoint.starts_with(kIpc)) {
    const std::size_t bytes = endpoint.size() - kIpc.size();
    if (bytes > 0 && bytes <= kPathMax) return {};
  }
  return invalid_input(fmt::format("{} is '{}'; give tcp://HOST:PORT, or ipc://PATH with a path of at most {} bytes",
                                   option, endpoint, kPathMax));
}

}  // namespace evenkeel::shell
