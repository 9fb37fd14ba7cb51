#include "rebalancer/http/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

namespace evenkeel::rebalancer::http_server_test {
namespace {

class HttpServerTest : public testing::Test {
 protected:
  static HttpReply answer(std::string_view path) {
    if (path == "/known") return {200, "text/plain", "yes"};
    return {404, "text/plain", "no"};
  }

  void start(HttpOptions options = {}) {
    options.address = "127.0.0.1:0";
    auto server = HttpServer::start(options, answer);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  [[nodiscard]] int connected() const {
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server_->port());
    EXPECT_EQ(connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{5, 0};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return descriptor;
  }

  /// Everything that comes back until the server closes.
  [[nodiscard]] std::string exchange(const std::string& request) const {
    const int descriptor = connected();
    static_cast<void>(send(descriptor, request.data(), request.size(), MSG_NOSIGNAL));
    std::string all;
    char buffer[4096];
    for (ssize_t count = 0; (count = recv(descriptor, buffer, sizeof buffer, 0)) > 0;) {
      all.append(buffer, static_cast<std::size_t>(count));
    }
    close(descriptor);
    return all;
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, answers_get_by_path_without_the_query) {
  start();
  const std::string text = exchange("GET /known?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
  EXPECT_TRUE(text.ends_with("\r\n\r\nyes")) << text;
  EXPECT_EQ(server_->counters().answered, 1U);
}

TEST_F(HttpServerTest, sends_no_body_to_head) {
  start();
  const std::string text = exchange("HEAD /known HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(text.find("Content-Length: 3"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\n\r\n")) << text;
}

TEST_F(HttpServerTest, answers_several_requests_of_one_connection) {
  start();
  const std::string get = "GET /known HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string text = exchange(get + get + "GET /known HTTP/1.0\r\n\r\n");
  EXPECT_EQ(server_->counters().answered, 3U) << text;
}

TEST_F(HttpServerTest, refuses_other_methods_and_unknown_paths) {
  start();
  EXPECT_TRUE(exchange("POST /known HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 405"));
  EXPECT_TRUE(exchange("GET /other HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404") ||
              exchange("GET /other HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 404"));
  EXPECT_GE(server_->counters().refused, 2U);
}

TEST_F(HttpServerTest, refuses_what_is_too_large_or_no_http) {
  start();
  EXPECT_TRUE(
      exchange("GET /known HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(exchange("GET /known HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(exchange("\x16\x03\x01 hello\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_EQ(server_->counters().malformed, 3U);
}

TEST_F(HttpServerTest, ends_connections_that_are_too_slow) {
  start({.address = "", .timeout = std::chrono::milliseconds(100)});
  EXPECT_EQ(exchange("GET /known HT"), "");
  // The connection closes before it is counted.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (server_->counters().timed_out == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(server_->counters().timed_out, 1U);
}

TEST_F(HttpServerTest, holds_no_more_connections_than_allowed) {
  start({.address = "", .connections_max = 2});
  const int first = connected();
  const int second = connected();
  EXPECT_EQ(exchange("GET /known HTTP/1.1\r\n\r\n"), "");
  EXPECT_EQ(server_->counters().connections_refused, 1U);
  close(first);
  close(second);
}

TEST(HttpServer, names_an_address_it_cannot_have) {
  for (const char* address : {"", "here", "127.0.0.1", "127.0.0.1:http", "no.such.host.invalid:80"}) {
    HttpOptions options;
    options.address = address;
    const auto server = HttpServer::start(options, [](std::string_view) { return HttpReply{}; });
    ASSERT_FALSE(server) << address;
    EXPECT_NE(server.error().message.find("--http"), std::string::npos);
  }
}

}  // namespace
}  // namespace evenkeel::rebalancer::http_server_test
