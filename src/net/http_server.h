// A small HTTP server on a thread of its own, for what a few look at: the figures of a daemon, the
// page of a program.
//
// It reads: GET and HEAD are answered, anything else is told so. A connection that is silent is
// closed after a few seconds, and one too many at once; so who opens connections without end costs
// a bounded number of descriptors. Where the process has no descriptor left, those who are
// connected are served all the same, and the others wait in the kernel until there is one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/address.h"
#include <aloft/result.h>

namespace aloft::net {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;

struct HttpAnswer {
  boost::beast::http::status status = boost::beast::http::status::ok;
  std::string type = "text/plain; charset=utf-8";
  std::string body{};
};

// Thread rule: any thread, one at a time.
class HttpServer {
 public:
  static constexpr std::size_t kMostConnections = 64;

  // A connection that somebody else goes on with. It counts as one of the server's until `place` is
  // dropped, on the server's thread; the server itself has no time limit on it any more.
  struct LeavePlace {
    void operator()(std::size_t* taken) const { --*taken; }
  };
  using Place = std::unique_ptr<std::size_t, LeavePlace>;
  struct Taken {
    boost::beast::tcp_stream stream;
    Place place;
  };

  // Asked on the server's thread, which waits meanwhile.
  struct Answers {
    // Of a GET, or of a HEAD, of which the server leaves the body out.
    std::function<HttpAnswer(const HttpRequest&)> get;
    // What all answers have besides, the server's own as well. Null: nothing.
    std::function<void(boost::beast::http::fields&)> headers = {};
    // Of a request for a WebSocket: why not, or none: it has taken the connection over, by moving
    // from what it was given. Null: such a request is a GET.
    std::function<std::optional<HttpAnswer>(const HttpRequest&, Taken&)> upgrade = {};
  };

  // The host is an IP address; port 0: a free one. Whoever connects waits for serve(). Errors:
  // invalid_argument (no IP address), unreachable (it is taken, or is not this machine's).
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> listen(const Address& address);
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // Once. What the answers use stays until stop() has returned, and what holds a `Place` until the
  // server is gone.
  void serve(Answers answers);
  // Nothing is asked, and nothing runs on its thread, after this. Again: nothing.
  void stop();

  // Of its thread: for timers and what has taken a connection over, none of which outlives it.
  [[nodiscard]] boost::asio::any_io_executor executor();
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const;  // after serve()

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::net
