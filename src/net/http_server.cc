#include "net/http_server.h"

#include <ctime>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <pthread.h>

namespace aloft::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Response = http::response<http::string_body>;

constexpr std::chrono::seconds kPatience{5};  // with a connection that says nothing
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::uint32_t kMaxHeader = 8192;
constexpr std::uint64_t kMaxBody = 1024;

}  // namespace

struct HttpServer::Impl {
  class Connection;

  Impl() : acceptor(io), pause(io) {}

  Result<void> listen(const Address& address);
  void accept();
  [[nodiscard]] Response respond(const HttpRequest& request, HttpAnswer answer) const;
  [[nodiscard]] Response answer(const HttpRequest& request) const;

  Answers answers;
  std::size_t connections = 0;  // the thread's own; outlives those that `io` holds
  asio::io_context io{1};
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  std::thread thread;
};

class HttpServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl& impl, tcp::socket socket)
      : impl_(impl),
        connection_{beast::tcp_stream(std::move(socket)), Place(&++impl.connections, {})} {}

  void read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeader);
    parser_->body_limit(kMaxBody);
    connection_.stream.expires_after(kPatience);
    http::async_read(connection_.stream, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->serve();
                     });
  }

 private:
  void serve() {
    const HttpRequest& request = parser_->get();
    if (!impl_.answers.upgrade || !beast::websocket::is_upgrade(request))
      return write(impl_.answer(request));
    connection_.stream.expires_never();
    if (auto refused = impl_.answers.upgrade(request, connection_))
      write(impl_.respond(request, *std::move(refused)));
  }

  void write(Response response) {
    response_ = std::move(response);
    connection_.stream.expires_after(kPatience);
    http::async_write(connection_.stream, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error && self->response_.keep_alive()) self->read();
                      });
  }

  Impl& impl_;
  Taken connection_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Response response_;
};

Result<void> HttpServer::Impl::listen(const Address& address) {
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(address.host, error);
  if (error) {
    return fail(Errc::invalid_argument, "cannot listen on " + address.to_string() +
                                            ": its host has to be an IP address of this machine");
  }
  const tcp::endpoint endpoint(ip, address.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error)
    return fail(Errc::unreachable,
                "cannot listen on " + address.to_string() + ": " + error.message());
  return {};
}

void HttpServer::Impl::accept() {
  acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) {
      // Out of descriptors, which others have to give back: tried again later.
      pause.expires_after(kAcceptPause);
      pause.async_wait([this](beast::error_code stopped) {
        if (!stopped) accept();
      });
      return;
    }
    // One too many is closed at once.
    if (connections < kMostConnections)
      std::make_shared<Connection>(*this, std::move(socket))->read();
    accept();
  });
}

Response HttpServer::Impl::respond(const HttpRequest& request, HttpAnswer answer) const {
  Response response{answer.status, request.version()};
  response.keep_alive(request.keep_alive());
  if (answers.headers) answers.headers(response);
  response.set(http::field::content_type, answer.type);
  response.body() = std::move(answer.body);
  if (request.method() == http::verb::head) {
    const auto size = response.body().size();
    response.body().clear();
    response.content_length(size);
  } else {
    response.prepare_payload();
  }
  return response;
}

Response HttpServer::Impl::answer(const HttpRequest& request) const {
  if (request.method() == http::verb::get || request.method() == http::verb::head)
    return respond(request, answers.get(request));
  Response response =
      respond(request, {.status = http::status::method_not_allowed, .body = "GET or HEAD\n"});
  response.set(http::field::allow, "GET, HEAD");
  return response;
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const Address& address) {
  auto impl = std::make_unique<Impl>();
  if (auto listening = impl->listen(address); !listening)
    return std::unexpected(std::move(listening).error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const {
  boost::system::error_code error;
  return impl_->acceptor.local_endpoint(error).port();
}

void HttpServer::serve(Answers answers) {
  impl_->answers = std::move(answers);
  impl_->accept();
  impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

void HttpServer::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->io.stop();
  impl_->thread.join();
}

asio::any_io_executor HttpServer::executor() { return impl_->io.get_executor(); }

std::chrono::nanoseconds HttpServer::cpu_time() const {
  clockid_t clock{};
  timespec time{};
  if (!impl_->thread.joinable() ||
      ::pthread_getcpuclockid(impl_->thread.native_handle(), &clock) != 0 ||
      ::clock_gettime(clock, &time) != 0)
    return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace aloft::net
