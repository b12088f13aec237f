#include "ops/ops_server.h"

#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace aloft::ops {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using tcp = boost::asio::ip::tcp;

constexpr std::chrono::seconds kPatience{5};  // with a connection that says nothing
constexpr std::size_t kMaxConnections = 64;
constexpr std::size_t kMaxHeader = 8192;
constexpr std::uint64_t kMaxBody = 1024;

Result<tcp::endpoint> parse(const std::string& address) {
  const auto colon = address.rfind(':');
  const auto wrong = [&] {
    return fail(Errc::invalid_argument, "not an address: " + address + " (IP:PORT, [IPv6]:PORT)");
  };
  if (colon == std::string::npos) return wrong();
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(host, error);
  std::uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto number = std::from_chars(address.data() + colon + 1, end, port);
  if (error || number.ec != std::errc() || number.ptr != end) return wrong();
  return tcp::endpoint(ip, port);
}

}  // namespace

struct OpsServer::Impl {
  class Connection;

  explicit Impl(OpsAnswers given) : answers(std::move(given)), acceptor(io) {}

  void accept();
  http::response<http::string_body> answer(const http::request<http::string_body>& request) const;

  const OpsAnswers answers;
  std::size_t connections = 0;  // the thread's own; outlives those that `io` holds
  boost::asio::io_context io{1};
  tcp::acceptor acceptor;
  std::thread thread;
};

class OpsServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl& impl, tcp::socket socket) : impl_(impl), stream_(std::move(socket)) {
    ++impl_.connections;
  }
  ~Connection() { --impl_.connections; }

  void read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeader);
    parser_->body_limit(kMaxBody);
    stream_.expires_after(kPatience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->write();
                     });
  }

 private:
  void write() {
    response_ = impl_.answer(parser_->get());
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error && self->response_.keep_alive()) self->read();
                      });
  }

  Impl& impl_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

void OpsServer::Impl::accept() {
  acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    // Without descriptors: not again at once.
    if (error) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // One too many is closed at once.
    if (!error && connections < kMaxConnections) {
      std::make_shared<Connection>(*this, std::move(socket))->read();
    }
    accept();
  });
}

http::response<http::string_body> OpsServer::Impl::answer(
    const http::request<http::string_body>& request) const {
  http::response<http::string_body> response{http::status::ok, request.version()};
  response.keep_alive(request.keep_alive());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
  const std::string path(request.target().substr(0, request.target().find('?')));
  if (!reads) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (path == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = answers.metrics();
  } else if (path == "/healthz") {
    response.body() = "ok\n";
  } else if (path == "/readyz") {
    const auto ready = answers.ready();
    if (!ready) response.result(http::status::service_unavailable);
    response.body() = ready ? "ok\n" : ready.error().message + "\n";
  } else {
    response.result(http::status::not_found);
    response.body() = "there are /metrics, /healthz and /readyz\n";
  }
  if (request.method() == http::verb::head) {
    const auto size = response.body().size();
    response.body().clear();
    response.content_length(size);
  } else {
    response.prepare_payload();
  }
  return response;
}

OpsServer::OpsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<OpsServer>> OpsServer::listen(const std::string& address,
                                                     OpsAnswers answers) {
  const auto endpoint = parse(address);
  if (!endpoint) return std::unexpected(endpoint.error());
  auto impl = std::make_unique<Impl>(std::move(answers));
  boost::system::error_code error;
  impl->acceptor.open(endpoint->protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(*endpoint, error);
  if (!error) impl->acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) {
    return fail(Errc::unreachable, "cannot listen on " + address + ": " + error.message());
  }
  impl->accept();
  impl->thread = std::thread([at = impl.get()] { at->io.run(); });
  return std::unique_ptr<OpsServer>(new OpsServer(std::move(impl)));
}

OpsServer::~OpsServer() {
  impl_->io.stop();
  impl_->thread.join();
}

std::uint16_t OpsServer::port() const { return impl_->acceptor.local_endpoint().port(); }

}  // namespace aloft::ops
