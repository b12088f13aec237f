// An HTTP server on the loopback interface that answers as a test says, byte for byte: what a
// registry that lies or fails would send.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

namespace aloft::oci {

// Serves one connection after the other, one request each, on a thread of its own.
class ScriptedServer {
 public:
  struct Request {
    std::string line;     // "GET /v2/ HTTP/1.1"
    std::string headers;  // all of them, with the line
    std::string body;     // of a request with Content-Length
    [[nodiscard]] bool has(std::string_view text) const {
      return headers.find(text) != std::string::npos;
    }
  };
  class Client {
   public:
    explicit Client(boost::asio::ip::tcp::socket& socket) : socket_(socket) {}
    // False: the client is gone.
    bool send(std::string_view bytes) {
      boost::system::error_code error;
      boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), error);
      return !error;
    }
    void answer(std::string_view status, std::string_view body, std::string_view headers = {}) {
      send("HTTP/1.1 " + std::string(status) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n" +
           std::string(headers) + "\r\n" + std::string(body));
    }
    // Sends nothing more until the client gives up.
    void stall() {
      char byte = 0;
      boost::system::error_code error;
      while (!error) (void)socket_.read_some(boost::asio::buffer(&byte, 1), error);
    }

   private:
    boost::asio::ip::tcp::socket& socket_;
  };
  using Script = std::function<void(const Request&, Client&)>;

  explicit ScriptedServer(Script script)
      : acceptor_(context_, {boost::asio::ip::make_address("127.0.0.1"), 0}),
        script_(std::move(script)),
        thread_([this] { run(); }) {}
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    ending_ = true;
    boost::asio::io_context context;
    boost::asio::ip::tcp::socket knock(context);
    boost::system::error_code ignored;
    knock.connect(acceptor_.local_endpoint(), ignored);
  }

  [[nodiscard]] std::string host() const {
    return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  [[nodiscard]] std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void run() {
    for (;;) {
      boost::asio::ip::tcp::socket socket(context_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (ending_ || error) return;
      serve(socket);
      socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
    }
  }
  void serve(boost::asio::ip::tcp::socket& socket) {
    boost::system::error_code error;
    boost::asio::streambuf buffer;
    const std::size_t size = boost::asio::read_until(socket, buffer, "\r\n\r\n", error);
    if (error) return;
    Request request;
    const auto begin = boost::asio::buffers_begin(buffer.data());
    request.headers.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    request.line = request.headers.substr(0, request.headers.find("\r\n"));
    buffer.consume(size);
    if (const auto at = request.headers.find("Content-Length: "); at != std::string::npos) {
      const std::size_t length = std::stoul(request.headers.substr(at + 16));
      if (length > buffer.size())
        boost::asio::read(socket, buffer, boost::asio::transfer_exactly(length - buffer.size()),
                          error);
      const auto body = boost::asio::buffers_begin(buffer.data());
      request.body.assign(body,
                          body + static_cast<std::ptrdiff_t>(std::min(length, buffer.size())));
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    Client client(socket);
    script_(request, client);
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  const Script script_;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::jthread thread_;
};

}  // namespace aloft::oci
