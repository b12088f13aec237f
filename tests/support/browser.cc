#include "browser.h"

#include <charconv>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "eventually.h"

namespace aloft::testing {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;
using namespace std::chrono_literals;

}  // namespace

Result<std::unique_ptr<Browser>> Browser::start() {
  // The profile is one that chromedriver makes and throws away: a browser with one that is to be
  // kept it asks to end, and waits for that for half a minute or more where the browser is busy.
  auto folder = std::make_unique<TempDir>();
  auto driver = Process::start({"chromedriver", "--port=0"},
                               {.environment = {{"TMPDIR", folder->path().string()}}});
  if (!driver) return std::unexpected(driver.error());
  const auto line = driver->wait_for_line("started successfully on port ", 60s);
  std::uint16_t port = 0;
  if (line) {
    const char* const number = line->data() + line->rfind(' ') + 1;
    std::from_chars(number, line->data() + line->size(), port);
  }
  if (port == 0)
    return fail(Errc::internal, "chromedriver did not start:\n" + driver->transcript());
  std::unique_ptr<Browser> browser(new Browser(std::move(folder), std::move(*driver), port));
  const json options{
      {"binary", "/usr/bin/chromium"},
      {"args",
       {"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--window-size=1400,1000", "--host-resolver-rules=MAP *.test 127.0.0.1"}}};
  const json wanted{{"alwaysMatch",
                     {{"browserName", "chrome"},
                      {"timeouts", {{"script", 30'000}, {"pageLoad", 60'000}}},
                      {"goog:chromeOptions", options}}}};
  const auto made = browser->ask("POST", "/session", {{"capabilities", wanted}});
  if (!made) return std::unexpected(made.error());
  browser->session_ = "/session/" + made->at("sessionId").get<std::string>();
  browser->process_ = made->at("capabilities").value("goog:processID", 0);
  return browser;
}

Browser::~Browser() {
  if (!session_.empty()) (void)ask("DELETE", session_, nullptr);
}

Result<json> Browser::ask(const std::string& method, const std::string& path, const json& body) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket socket(io);
  boost::system::error_code error;
  socket.connect({boost::asio::ip::address_v4::loopback(), port_}, error);
  if (error) return fail(Errc::internal, "chromedriver has gone:\n" + driver_.transcript());
  http::request<http::string_body> request{http::string_to_verb(method), path, 11};
  request.set(http::field::host, "localhost:" + std::to_string(port_));
  request.set(http::field::content_type, "application/json");
  if (!body.is_null()) request.body() = body.dump();
  request.prepare_payload();
  http::write(socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  if (!error) http::read(socket, buffer, response, error);
  if (error) return fail(Errc::internal, "chromedriver: " + error.message());
  const json answer = json::parse(response.body(), nullptr, false);
  if (!answer.is_object() || !answer.contains("value"))
    return fail(Errc::internal, "chromedriver: " + response.body());
  const json& value = answer.at("value");
  if (response.result() != http::status::ok)
    return fail(Errc::internal, method + " " + path + ": " + value.value("message", value.dump()));
  return value;
}

Result<void> Browser::open(const std::string& url) {
  const auto done = ask("POST", session_ + "/url", {{"url", url}});
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<json> Browser::run(const std::string& script) {
  return ask("POST", session_ + "/execute/sync", {{"script", script}, {"args", json::array()}});
}

Result<void> Browser::click(const std::string& selector) {
  const auto found =
      ask("POST", session_ + "/element", {{"using", "css selector"}, {"value", selector}});
  if (!found) return std::unexpected(found.error());
  const std::string id = found->begin().value().get<std::string>();
  const auto done = ask("POST", session_ + "/element/" + id + "/click", json::object());
  if (!done) return std::unexpected(done.error());
  return {};
}

bool Browser::eventually(const std::string& expression, std::chrono::milliseconds patience) {
  return testing::eventually(patience, [&] {
    const auto answer = run("return !!(" + expression + ")");
    return answer && *answer == true;
  });
}

}  // namespace aloft::testing
