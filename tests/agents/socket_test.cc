#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "agents/shell/zmq_adapter.h"

namespace evenkeel::shell::socket_test {
namespace {

/// As long as ZeroMQ's heartbeats would take to come due, were they on.
constexpr std::chrono::milliseconds kLongerThanHeartbeats{2'500};

TEST(Socket, outlives_a_peer_that_fills_its_queue_and_goes) {
  const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(20'000 + getpid() % 12'000);
  SocketContext context;
  auto router = Socket::router(context, endpoint);
  ASSERT_TRUE(router) << router.error().message;
  {
    SocketContext others;
    auto dealer = Socket::dealer(others, endpoint);
    ASSERT_TRUE(dealer);
    const std::array parts{std::string(20'000, 'x')};
    std::size_t sent = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (std::chrono::steady_clock::now() < until) {
      if (dealer->send(parts) == Socket::Sent::kQueued) {
        ++sent;
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
    EXPECT_GT(sent, 32U) << "more than both queues hold";
  }
  std::this_thread::sleep_for(kLongerThanHeartbeats);
  std::size_t taken = 0;
  while (router->receive()) ++taken;
  EXPECT_GT(taken, 0U);
}

}  // namespace
}  // namespace evenkeel::shell::socket_test
