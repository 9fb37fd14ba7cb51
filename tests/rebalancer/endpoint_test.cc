#include "rebalancer/net/endpoint.h"

#include <gtest/gtest.h>

namespace evenkeel::rebalancer::endpoint_test {
namespace {

TEST(Endpoint, is_local_on_loopback_and_ipc_only) {
  for (const char* local : {"tcp://127.0.0.1:5591", "tcp://127.8.9.1:1", "tcp://[::1]:5591", "tcp://localhost:5591",
                            "ipc:///run/evenkeel/agents"}) {
    EXPECT_TRUE(is_local_endpoint(local)) << local;
  }
  for (const char* reachable :
       {"", "tcp://", "tcp://*:5591", "tcp://0.0.0.0:5591", "tcp://[::]:5591", "tcp://10.0.0.1:5591", "tcp://eth0:5591",
        "tcp://127.0.0.1.example.org:5591", "tcp://localhost.example.org:5591", "udp://127.0.0.1:5591"}) {
    EXPECT_FALSE(is_local_endpoint(reachable)) << reachable;
  }
}

}  // namespace
}  // namespace evenkeel::rebalancer::endpoint_test
