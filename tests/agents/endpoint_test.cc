#include "agents/shell/endpoint.h"

#include <gtest/gtest.h>

#include <string>

namespace evenkeel::shell::endpoint_test {
namespace {

TEST(Endpoint, is_taken_where_a_socket_can_connect_to_it) {
  for (const char* endpoint : {"tcp://127.0.0.1:5591", "tcp://rebalancer.svc:65535", "tcp://[::1]:1",
                               "tcp://10.0.0.1:0;10.0.0.2:5591", "ipc:///run/evenkeel/reports"}) {
    EXPECT_TRUE(validate_endpoint("--rebalancer", endpoint)) << endpoint;
  }
}

TEST(Endpoint, is_refused_with_the_flag_the_value_and_the_remedy) {
  const std::string long_path = "ipc:///" + std::string(107, 'x');
  for (const std::string endpoint : {"", "localhost:5591", "http://localhost:5591", "tcp://localhost", "tcp://:5591",
                                     "tcp://localhost:", "tcp://localhost:reports", "tcp://localhost:0",
                                     "tcp://localhost:65536", "tcp://localhost:5591/", "ipc://", long_path.c_str()}) {
    const Status status = validate_endpoint("--rebalancer", endpoint);
    ASSERT_FALSE(status) << endpoint;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(status.error().message.find("--rebalancer is '" + endpoint + "'; give tcp://"), std::string::npos)
        << status.error().message;
  }
}

}  // namespace
}  // namespace evenkeel::shell::endpoint_test
