#include "ops/ops_server.h"

#include <utility>

#include "net/address.h"
#include "net/http_server.h"

namespace aloft::ops {
namespace {

using boost::beast::http::status;

net::HttpAnswer answer(const OpsAnswers& answers, const net::HttpRequest& request) {
  const auto path = request.target().substr(0, request.target().find('?'));
  if (path == "/metrics")
    return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = answers.metrics()};
  if (path == "/healthz") return {.body = "ok\n"};
  if (path == "/readyz") {
    const auto ready = answers.ready();
    if (ready) return {.body = "ok\n"};
    return {.status = status::service_unavailable, .body = ready.error().message + "\n"};
  }
  return {.status = status::not_found, .body = "there are /metrics, /healthz and /readyz\n"};
}

}  // namespace

struct OpsServer::Impl {
  OpsAnswers answers;
  std::unique_ptr<net::HttpServer> server;  // ends before what it asks
};

OpsServer::OpsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OpsServer::~OpsServer() = default;

Result<std::unique_ptr<OpsServer>> OpsServer::listen(const std::string& address,
                                                     OpsAnswers answers) {
  const auto parsed = net::Address::parse(address);
  if (!parsed) return std::unexpected(parsed.error());
  auto server = net::HttpServer::listen(*parsed);
  if (!server) return std::unexpected(std::move(server).error());
  auto impl = std::make_unique<Impl>(std::move(answers), *std::move(server));
  impl->server->serve({.get = [asked = &impl->answers](const net::HttpRequest& request) {
    return answer(*asked, request);
  }});
  return std::unique_ptr<OpsServer>(new OpsServer(std::move(impl)));
}

std::uint16_t OpsServer::port() const { return impl_->server->port(); }

}  // namespace aloft::ops
