#include "device/page/page_server.h"

#include <ctime>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <pthread.h>

#include "base/ids.h"
#include "device/page/assets.h"
#include "device/page/door.h"

namespace aloft::device {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

constexpr std::chrono::seconds kPatience{5};  // with a connection that says nothing
constexpr std::chrono::seconds kSilence{20};  // of a browser, which answers pings by itself
constexpr std::size_t kMaxHeader = 8192;
constexpr std::uint64_t kMaxBody = 1024;
constexpr std::size_t kMaxOrder = 64;    // bytes of what a button says
constexpr int kSendBuffer = 256 * 1024;  // more of it would only be older

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

struct File {
  std::string_view path;
  std::string_view type;
  std::string_view content;
};

std::optional<File> file(std::string_view path) {
  const File files[] = {{"", "text/html; charset=utf-8", assets::index_html},
                        {"page.css", "text/css; charset=utf-8", assets::page_css},
                        {"page.js", "text/javascript; charset=utf-8", assets::page_js},
                        {"uplot.css", "text/css; charset=utf-8", assets::uplot_css},
                        {"uplot.js", "text/javascript; charset=utf-8", assets::uplot_js}};
  for (const File& each : files) {
    if (each.path == path) return each;
  }
  return std::nullopt;
}

std::optional<Hand> hand_of(std::string_view order) {
  for (const Hand hand : {Hand::policy, Hand::here, Hand::edge}) {
    if (order == to_string(hand)) return hand;
  }
  return std::nullopt;
}

// Nothing but this page's own files runs in it, nobody else may frame or read it.
void guard(http::fields& headers) {
  headers.set("Content-Security-Policy",
              "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
              "frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set(http::field::cache_control, "no-store");
}

std::optional<std::string_view> header(const Request& request, http::field name) {
  const auto found = request.find(name);
  if (found == request.end()) return std::nullopt;
  return std::string_view(found->value().data(), found->value().size());
}

}  // namespace

struct PageServer::Impl {
  class Browser;
  class Connection;

  Impl(Board& with, PageCalls given)
      : board(with), calls(std::move(given)), acceptor(io), refresh(io) {}

  void accept();
  void tick();
  void watch(std::shared_ptr<Browser> browser);
  [[nodiscard]] Response answer(const Request& request) const;
  [[nodiscard]] Result<std::string_view> open(const Request& request, Door::Wants wants) const;

  Board& board;
  const PageCalls calls;
  std::optional<Door> door;
  std::string url;
  std::size_t connections = 0;  // the thread's own, as what follows; outlives those that `io` holds
  std::set<Browser*> browsers;
  bool ticking = false;
  asio::io_context io{1};
  tcp::acceptor acceptor;
  asio::steady_timer refresh;
  std::thread thread;
};

// One open page.
class PageServer::Impl::Browser : public std::enable_shared_from_this<Browser> {
 public:
  Browser(Impl& impl, beast::tcp_stream stream) : impl_(impl), socket_(std::move(stream)) {
    impl_.browsers.insert(this);
  }
  ~Browser() {
    impl_.browsers.erase(this);
    --impl_.connections;
  }

  void accept(const Request& request) {
    beast::get_lowest_layer(socket_).expires_never();
    socket_.set_option(websocket::stream_base::timeout{
        .handshake_timeout = kPatience, .idle_timeout = kSilence, .keep_alive_pings = true});
    socket_.set_option(websocket::stream_base::decorator(
        [](websocket::response_type& response) { guard(response); }));
    socket_.read_message_max(kMaxOrder);
    boost::system::error_code ignored;
    beast::get_lowest_layer(socket_).socket().set_option(
        asio::socket_base::send_buffer_size(kSendBuffer), ignored);
    socket_.async_accept(request, [self = shared_from_this()](beast::error_code error) {
      if (error || !self->socket_.is_open()) return;
      self->open_ = true;
      self->read();
      self->impl_.tick();
    });
  }

  // Sends what is new, unless the browser is still at the message before.
  void update() {
    if (!open_ || writing_) return;
    text_ = impl_.board.news(seen_);
    if (text_.empty()) return send_picture();
    socket_.text(true);
    write(asio::buffer(text_));
  }

 private:
  void send_picture() {
    picture_ = impl_.board.picture(seen_);
    if (picture_ == nullptr) return;
    socket_.binary(true);
    write(asio::buffer(*picture_));
  }

  void write(asio::const_buffer message) {
    writing_ = true;
    socket_.async_write(message, [self = shared_from_this()](beast::error_code error, std::size_t) {
      self->writing_ = false;
      if (error) return self->close();
      // The picture goes with the points that it belongs to.
      if (!self->socket_.binary()) self->send_picture();
    });
  }

  void read() {
    socket_.async_read(order_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return self->close();
      const auto bytes = self->order_.cdata();
      const auto hand = hand_of({static_cast<const char*>(bytes.data()), bytes.size()});
      self->order_.clear();
      // What no button of the page says is not from the page.
      if (!hand) return self->close();
      self->impl_.calls.move(*hand);
      self->read();
    });
  }

  void close() {
    open_ = false;
    beast::get_lowest_layer(socket_).close();
  }

  Impl& impl_;
  websocket::stream<beast::tcp_stream> socket_;
  beast::flat_buffer order_{kMaxOrder + 1};
  Board::Seen seen_;
  bool open_ = false;
  bool writing_ = false;
  std::string text_;
  std::shared_ptr<const std::vector<std::byte>> picture_;
};

// A connection before it is known to be a browser's socket.
class PageServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl& impl, tcp::socket socket) : impl_(impl), stream_(std::move(socket)) {
    ++impl_.connections;
  }
  ~Connection() {
    if (!handed_over_) --impl_.connections;
  }

  void read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeader);
    parser_->body_limit(kMaxBody);
    stream_.expires_after(kPatience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->serve();
                     });
  }

 private:
  void serve() {
    const Request& request = parser_->get();
    if (!websocket::is_upgrade(request)) return write(impl_.answer(request));
    const auto path = impl_.open(request, Door::Wants::socket);
    if (!path) return write(refused(http::status::forbidden, path.error().message));
    if (*path != "live") return write(refused(http::status::not_found, "no such socket"));
    if (impl_.browsers.size() >= kMostBrowsers) {
      return write(refused(http::status::service_unavailable,
                           "this page is open " + std::to_string(kMostBrowsers) +
                               " times already: close one of them"));
    }
    handed_over_ = true;
    std::make_shared<Browser>(impl_, std::move(stream_))->accept(request);
  }

  [[nodiscard]] static Response refused(http::status status, const std::string& why) {
    Response response{status, 11};
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    guard(response);
    response.body() = why + "\n";
    response.prepare_payload();
    return response;
  }

  void write(Response response) {
    response_ = std::move(response);
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error && self->response_.keep_alive()) self->read();
                      });
  }

  Impl& impl_;
  bool handed_over_ = false;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Response response_;
};

void PageServer::Impl::accept() {
  acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    // Without descriptors: not again at once.
    if (error) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // One too many is closed at once.
    if (!error && connections < kMostConnections) {
      std::make_shared<Connection>(*this, std::move(socket))->read();
    }
    accept();
  });
}

// Goes on by itself while somebody watches.
void PageServer::Impl::tick() {
  if (std::exchange(ticking, true)) return;
  calls.look();
  for (Browser* const each : browsers) each->update();
  board.want_picture();
  refresh.expires_after(kRefresh);
  refresh.async_wait([this](beast::error_code error) {
    ticking = false;
    if (error) return;
    if (browsers.empty()) return board.want_none();
    tick();
  });
}

Result<std::string_view> PageServer::Impl::open(const Request& request, Door::Wants wants) const {
  return door->open({.target = {request.target().data(), request.target().size()},
                     .host = header(request, http::field::host),
                     .origin = header(request, http::field::origin)},
                    wants);
}

Response PageServer::Impl::answer(const Request& request) const {
  Response response{http::status::ok, request.version()};
  response.keep_alive(request.keep_alive());
  guard(response);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
  const auto path = open(request, Door::Wants::file);
  if (!path) {
    response.result(http::status::forbidden);
    response.body() = path.error().message + "\n";
  } else if (!reads) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (const auto found = file(*path)) {
    response.set(http::field::content_type,
                 beast::string_view(found->type.data(), found->type.size()));
    response.body() = found->content;
  } else {
    response.result(http::status::not_found);
    response.body() = "no such file\n";
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

PageServer::PageServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<PageServer>> PageServer::listen(std::uint16_t port, Board& board,
                                                       PageCalls calls) {
  auto impl = std::make_unique<Impl>(board, std::move(calls));
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
  boost::system::error_code error;
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  const tcp::endpoint bound = error ? endpoint : impl->acceptor.local_endpoint(error);
  if (error) {
    return fail(Errc::unreachable, "no live page at port " + std::to_string(port) +
                                       " of 127.0.0.1: " + error.message());
  }
  impl->door.emplace(bound.port(), random_hex());
  impl->url = impl->door->url();
  impl->accept();
  impl->thread = std::thread([at = impl.get()] { at->io.run(); });
  return std::unique_ptr<PageServer>(new PageServer(std::move(impl)));
}

PageServer::~PageServer() {
  impl_->io.stop();
  impl_->thread.join();
}

const std::string& PageServer::url() const { return impl_->url; }

std::chrono::nanoseconds PageServer::cpu_time() const {
  clockid_t clock{};
  timespec time{};
  if (::pthread_getcpuclockid(impl_->thread.native_handle(), &clock) != 0 ||
      ::clock_gettime(clock, &time) != 0)
    return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace aloft::device
