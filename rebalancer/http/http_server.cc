#include "rebalancer/http/http_server.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>
#include <utility>

namespace evenkeel::rebalancer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

/// What sessions share; everything but the counters belongs to the server's thread.
struct Shared {
  HttpOptions options;
  HttpServer::Handler handler;
  HttpCounters counters;
  std::size_t sessions = 0;
};

/// One connection: reads a request, answers it, reads the next.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Shared& shared) : stream_(std::move(socket)), shared_(shared) { ++shared_.sessions; }
  ~Session() { --shared_.sessions; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(shared_.options.header_bytes_max);
    parser_->body_limit(0);
    stream_.expires_after(shared_.options.timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) { self->on_read(error); });
  }

 private:
  void on_read(error_code error) {
    if (error == beast::error::timeout) {
      ++shared_.counters.timed_out;
      return;
    }
    const bool is_end = error == http::error::end_of_stream || error == asio::error::connection_reset;
    if (is_end || error == asio::error::operation_aborted) return;
    if (error) {
      ++shared_.counters.malformed;
      return write({400, "text/plain; charset=utf-8", "the request is no GET of a small size\n"}, true);
    }
    const auto& request = parser_->get();
    is_head_ = request.method() == http::verb::head;
    if (!is_head_ && request.method() != http::verb::get) {
      ++shared_.counters.refused;
      return write({405, "text/plain; charset=utf-8", "only GET is answered; commands go by evenkeel freeze, ...\n"},
                   true);
    }
    const auto target = request.target();
    const std::string_view path(target.data(), std::min(target.size(), target.find('?')));
    HttpReply reply = shared_.handler(path);
    ++(reply.status == 404 ? shared_.counters.refused : shared_.counters.answered);
    write(std::move(reply), !request.keep_alive() || ++requests_ >= shared_.options.requests_max);
  }

  void write(HttpReply reply, bool is_last) {
    response_ = {};
    response_.result(reply.status);
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.body() = std::move(reply.body);
    response_.keep_alive(!is_last);
    response_.prepare_payload();
    if (is_head_) response_.body().clear();
    stream_.expires_after(shared_.options.timeout);
    serializer_.emplace(response_);
    serializer_->split(is_head_);
    const auto done = [self = shared_from_this(), is_last](error_code error, std::size_t) {
      if (error == beast::error::timeout) ++self->shared_.counters.timed_out;
      if (error) return;
      if (!is_last) return self->read();
      error_code ignored;
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    };
    if (is_head_) {
      http::async_write_header(stream_, *serializer_, done);
    } else {
      http::async_write(stream_, *serializer_, done);
    }
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_{64 * 1024};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  bool is_head_ = false;
  std::uint32_t requests_ = 0;
};

/// HOST:PORT, or nothing.
std::optional<tcp::endpoint> endpoint_of(asio::io_context& context, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code error;
  tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(host, address.substr(colon + 1), tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) return std::nullopt;
  return found.begin()->endpoint();
}

}  // namespace

class HttpServer::Listener {
 public:
  Listener(const HttpOptions& options, Handler handler) : shared_{options, std::move(handler), {}, 0} {}
  ~Listener() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status listen() {
    const std::string& address = shared_.options.address;
    const auto endpoint = endpoint_of(context_, address);
    if (!endpoint) return invalid_input(fmt::format("--http is {}; give HOST:PORT, such as 127.0.0.1:9095", address));
    error_code error;
    acceptor_.open(endpoint->protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(*endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return invalid_input(fmt::format("--http {}: {}; give a free port", address, error.message()));
    accept();
    thread_ = std::thread([this] { context_.run(); });
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] const HttpCounters& counters() const { return shared_.counters; }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return accept_later();
      if (shared_.sessions >= shared_.options.connections_max) {
        ++shared_.counters.connections_refused;
      } else {
        std::make_shared<Session>(std::move(socket), shared_)->read();
      }
      accept();
    });
  }

  /// No descriptor is free, say: trying at once would be a busy loop.
  void accept_later() {
    ++shared_.counters.connections_refused;
    timer_.expires_after(std::chrono::milliseconds(100));
    timer_.async_wait([this](error_code error) {
      if (!error) accept();
    });
  }

  // Sessions refer to shared_ and end with the context, which must go first.
  Shared shared_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer timer_{context_};
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options, Handler handler) {
  auto listener = std::make_unique<Listener>(options, std::move(handler));
  EVENKEEL_TRY_STATUS(listener->listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener)));
}

std::uint16_t HttpServer::port() const { return listener_->port(); }
const HttpCounters& HttpServer::counters() const { return listener_->counters(); }

}  // namespace evenkeel::rebalancer
