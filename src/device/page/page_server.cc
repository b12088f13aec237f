#include "device/page/page_server.h"

#include <optional>
#include <set>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include "base/ids.h"
#include "device/page/assets.h"
#include "device/page/door.h"
#include "net/http_server.h"

namespace aloft::device {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using net::HttpAnswer;
using net::HttpRequest;
using net::HttpServer;

constexpr std::chrono::seconds kPatience{5};  // with a browser that opens its socket
constexpr std::chrono::seconds kSilence{20};  // of one, which answers pings by itself
constexpr std::size_t kMaxOrder = 64;         // bytes of what a button says
constexpr int kSendBuffer = 256 * 1024;       // more of it would only be older

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

std::optional<std::string_view> header(const HttpRequest& request, http::field name) {
  const auto found = request.find(name);
  if (found == request.end()) return std::nullopt;
  return std::string_view(found->value().data(), found->value().size());
}

}  // namespace

struct PageServer::Impl {
  class Browser;

  Impl(Board& with, PageCalls given, std::unique_ptr<HttpServer> listening)
      : board(with),
        calls(std::move(given)),
        door(listening->port(), random_hex()),
        url(door.url()),
        server(std::move(listening)),
        refresh(server->executor()) {}

  void tick();
  [[nodiscard]] HttpAnswer answer(const HttpRequest& request) const;
  [[nodiscard]] std::optional<HttpAnswer> upgrade(const HttpRequest& request,
                                                  HttpServer::Taken& connection);
  [[nodiscard]] Result<std::string_view> open(const HttpRequest& request, Door::Wants wants) const;

  Board& board;
  const PageCalls calls;
  const Door door;
  const std::string url;
  std::set<Browser*> browsers;  // the thread's own; outlives those that the server holds
  bool ticking = false;         // the same
  const std::unique_ptr<HttpServer> server;
  asio::steady_timer refresh;
};

// One open page.
class PageServer::Impl::Browser : public std::enable_shared_from_this<Browser> {
 public:
  Browser(Impl& impl, HttpServer::Taken connection)
      : impl_(impl), place_(std::move(connection.place)), socket_(std::move(connection.stream)) {
    impl_.browsers.insert(this);
  }
  ~Browser() { impl_.browsers.erase(this); }

  void accept(const HttpRequest& request) {
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
  const HttpServer::Place place_;
  websocket::stream<beast::tcp_stream> socket_;
  beast::flat_buffer order_{kMaxOrder + 1};
  Board::Seen seen_;
  bool open_ = false;
  bool writing_ = false;
  std::string text_;
  std::shared_ptr<const std::vector<std::byte>> picture_;
};

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

Result<std::string_view> PageServer::Impl::open(const HttpRequest& request,
                                                Door::Wants wants) const {
  return door.open({.target = {request.target().data(), request.target().size()},
                    .host = header(request, http::field::host),
                    .origin = header(request, http::field::origin)},
                   wants);
}

HttpAnswer PageServer::Impl::answer(const HttpRequest& request) const {
  const auto path = open(request, Door::Wants::file);
  if (!path) return {.status = http::status::forbidden, .body = path.error().message + "\n"};
  if (const auto found = file(*path))
    return {.type = std::string(found->type), .body = std::string(found->content)};
  return {.status = http::status::not_found, .body = "no such file\n"};
}

std::optional<HttpAnswer> PageServer::Impl::upgrade(const HttpRequest& request,
                                                    HttpServer::Taken& connection) {
  const auto path = open(request, Door::Wants::socket);
  if (!path)
    return HttpAnswer{.status = http::status::forbidden, .body = path.error().message + "\n"};
  if (*path != "live")
    return HttpAnswer{.status = http::status::not_found, .body = "no such socket\n"};
  if (browsers.size() >= kMostBrowsers) {
    return HttpAnswer{.status = http::status::service_unavailable,
                      .body = "this page is open " + std::to_string(kMostBrowsers) +
                              " times already: close one of them\n"};
  }
  std::make_shared<Browser>(*this, std::move(connection))->accept(request);
  return std::nullopt;
}

PageServer::PageServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<PageServer>> PageServer::listen(std::uint16_t port, Board& board,
                                                       PageCalls calls) {
  auto server = HttpServer::listen({.host = "127.0.0.1", .port = port});
  if (!server) return fail(server.error().code, "no live page: " + server.error().message);
  auto impl = std::make_unique<Impl>(board, std::move(calls), *std::move(server));
  impl->server->serve(
      {.get = [at = impl.get()](const auto& asked) { return at->answer(asked); },
       .headers = guard,
       .upgrade = [at = impl.get()](const auto& asked,
                                    auto& connection) { return at->upgrade(asked, connection); }});
  return std::unique_ptr<PageServer>(new PageServer(std::move(impl)));
}

PageServer::~PageServer() { impl_->server->stop(); }

const std::string& PageServer::url() const { return impl_->url; }

std::chrono::nanoseconds PageServer::cpu_time() const { return impl_->server->cpu_time(); }

}  // namespace aloft::device
