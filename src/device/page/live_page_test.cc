// The live page as a browser's socket sees it: who is let in, what is sent, and that nobody waits
// for whoever does not read. tests/e2e/live_page_test.cc has a real browser.
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "device/page/board.h"
#include "device/page/door.h"
#include "device/page/page_server.h"
#include "device/testing/demo_module.h"
#include <aloft/live_page.h>

namespace aloft::device {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using ::testing::HasSubstr;
using tcp = asio::ip::tcp;

const std::string kKey = "0123456789abcdef";

std::string opened(const Door::Knock& knock, Door::Wants wants) {
  const auto path = Door(7000, kKey).open(knock, wants);
  return path ? "'" + std::string(*path) + "'" : path.error().message;
}

TEST(Door, opens_to_whoever_has_the_key_and_takes_it_for_what_it_is) {
  EXPECT_EQ(Door(7000, kKey).url(), "http://127.0.0.1:7000/0123456789abcdef/");
  using enum Door::Wants;
  const std::string target = "/" + kKey + "/page.js";
  EXPECT_EQ(opened({.target = target, .host = "127.0.0.1:7000"}, file), "'page.js'");
  EXPECT_EQ(opened({.target = target + "?a", .host = "localhost:7000"}, file), "'page.js'");
  EXPECT_EQ(opened({.target = "/" + kKey + "/", .host = "127.0.0.1:7000"}, file), "''");
  EXPECT_EQ(opened({.target = target, .host = "127.0.0.1:7000", .origin = "http://127.0.0.1:7000"},
                   socket),
            "'page.js'");
}

TEST(Door, stays_shut_without_key_name_or_origin) {
  using enum Door::Wants;
  const std::string target = "/" + kKey + "/live";
  for (const char* const wrong : {"/", "", "live", "/0123456789abcdee/", "/0123456789abcdef",
                                  "/0123456789abcdef0/", "//", "http://127.0.0.1:7000/"})
    EXPECT_THAT(opened({.target = wrong, .host = "127.0.0.1:7000"}, file), HasSubstr("a key"));
  for (const char* const host : {"127.0.0.1", "127.0.0.1:7001", "site.test:7000", "",
                                 "127.0.0.1:7000.site.test", "localhost:7000:7000"})
    EXPECT_THAT(opened({.target = target, .host = host}, file), HasSubstr("no other name"));
  EXPECT_THAT(opened({.target = target}, file), HasSubstr("no other name"));
  for (const char* const origin : {"null", "http://site.test", "https://127.0.0.1:7000",
                                   "http://127.0.0.1:7001", "http://localhost:7000", ""}) {
    const Door::Knock knock{.target = target, .host = "127.0.0.1:7000", .origin = origin};
    EXPECT_THAT(opened(knock, socket), HasSubstr("from elsewhere")) << origin;
    EXPECT_THAT(opened(knock, file), HasSubstr("from elsewhere")) << origin;
  }
  EXPECT_THAT(opened({.target = target, .host = "127.0.0.1:7000"}, socket),
              HasSubstr("only this page"));
}

TEST(Board, keeps_what_is_newest_and_says_it_once_to_each_browser) {
  Board board("a program", "frame");
  Board::Seen slow;
  Board::Seen quick;
  const auto first = nlohmann::json::parse(board.news(quick));
  EXPECT_EQ(first, nlohmann::json::parse(R"({"hello": {"title": "a program", "unit": "frame"}})"));
  for (std::uint64_t number = 0; number < 3 * LivePage::kPointsKept; ++number) {
    board.add({.number = number, .place = Place::edge, .per_second = 2.5, .network_bytes = 7});
    EXPECT_EQ(nlohmann::json::parse(board.news(quick)).at("points").dump(),
              "[[" + std::to_string(number) + ",1,2.5,0.0,null,7,null]]");
    EXPECT_EQ(board.news(quick), "");
  }
  const auto all = nlohmann::json::parse(board.news(slow));
  ASSERT_EQ(all.at("points").size(), LivePage::kPointsKept);
  EXPECT_EQ(all.at("points").back()[0], 3 * LivePage::kPointsKept - 1);

  board.set_state(R"({"hand":"here"})");
  EXPECT_EQ(board.news(slow), R"({"state":{"hand":"here"}})");
  board.set_state(R"({"hand":"here"})");
  EXPECT_EQ(board.news(slow), "");

  const std::vector<DecisionRecord> decisions{
      {.number = 4, .function = "a", .location = Location::edge(1), .reason = "because"},
      {.number = 5, .function = "b", .location = Location::here(), .reason = "so"}};
  board.decided(std::span(decisions).first(1));
  board.decided(decisions);
  const auto told = nlohmann::json::parse(board.news(slow)).at("decisions");
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0], nlohmann::json::parse(R"({"number": 4, "function": "a", "place": "edge",
                                               "edge": 1, "reason": "because"})"));
}

TEST(Board, takes_a_picture_only_when_one_is_wanted) {
  Board board("a program", "frame");
  Board::Seen seen;
  const Image picture(16, 16, PixelFormat::bgr8);
  board.show(picture, 1);
  EXPECT_EQ(board.picture(seen), nullptr);
  board.want_picture();
  board.show(Image(16, 16, PixelFormat::rgba8), 2);  // which JPEG has no room for
  board.show(picture, 3);
  board.show(picture, 4);
  const auto message = board.picture(seen);
  ASSERT_NE(message, nullptr);
  EXPECT_EQ((*message)[0], std::byte{3});
  ASSERT_GT(message->size(), 8U);
  const image::Shape shape{.width = 16, .height = 16, .format = PixelFormat::bgr8};
  EXPECT_TRUE(image::check_jpeg(std::span(*message).subspan(8), shape).has_value());
  EXPECT_EQ(board.picture(seen), nullptr);
  Board::Seen another;
  EXPECT_EQ(board.picture(another), message) << "encoded once";
  board.want_picture();
  board.want_none();
  board.show(picture, 5);
  EXPECT_EQ(board.picture(seen), nullptr);
}

// A browser's side of the socket, and of a request.
class Watcher {
 public:
  explicit Watcher(const std::string& url) : url_(url), socket_(io_) {
    const auto colon = url.find(':', 7);
    host_ = url.substr(7, url.find('/', 7) - 7);
    path_ = url.substr(url.find('/', 7));
    socket_.next_layer().connect({asio::ip::address_v4::loopback(),
                                  static_cast<std::uint16_t>(std::stoi(url.substr(colon + 1)))});
  }

  // The answer's status; 101: it is open.
  unsigned open(const std::string& origin, const std::string& path = "live") {
    socket_.set_option(websocket::stream_base::decorator(
        [&](websocket::request_type& request) { request.set(http::field::origin, origin); }));
    websocket::response_type response;
    beast::error_code error;
    socket_.handshake(response, host_, path_ + path, error);
    said_ = response.body();
    return response.result_int();
  }
  unsigned open() { return open("http://" + host_); }

  http::response<http::string_body> get(http::verb verb, const std::string& path) {
    http::request<http::empty_body> request{verb, path_ + path, 11};
    request.set(http::field::host, host_);
    http::write(socket_.next_layer(), request);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.skip(verb == http::verb::head);
    http::read(socket_.next_layer(), buffer, parser);
    return parser.release();
  }

  // It may be closed at the first bytes.
  void say(const std::string& order) {
    beast::error_code ignored;
    socket_.write(asio::buffer(order), ignored);
  }

  struct Message {
    bool picture = false;
    std::string content;
  };
  // None: it was closed.
  std::optional<Message> read() {
    beast::flat_buffer buffer;
    beast::error_code error;
    socket_.read(buffer, error);
    if (error) return std::nullopt;
    return Message{.picture = socket_.got_binary(),
                   .content = beast::buffers_to_string(buffer.data())};
  }
  // Reads up to a message of which `is` is true; null: it was closed before.
  nlohmann::json read_until(const std::function<bool(const nlohmann::json&)>& is) {
    while (const auto message = read()) {
      if (message->picture) continue;
      auto json = nlohmann::json::parse(message->content);
      if (is(json)) return json;
    }
    return nullptr;
  }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  const std::string url_;
  std::string host_;
  std::string path_;
  std::string said_;
  asio::io_context io_;
  websocket::stream<tcp::socket> socket_;
};

// A program without an edge.
class LivePageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.log = [](LogLevel, std::string_view) {};
    auto made = Runtime::create(std::move(options));
    ASSERT_TRUE(made.has_value()) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
  }
  void serve(LivePageOptions options) {
    auto served = LivePage::serve(*runtime_, std::move(options));
    ASSERT_TRUE(served.has_value()) << served.error().message;
    page_ = *std::move(served);
  }
  std::string last_reason() { return runtime_->recent_decisions().back().reason.text(); }

  const demo::Registered module_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<LivePage> page_;
};

TEST_F(LivePageTest, serves_its_files_to_read_and_nothing_else) {
  serve({.title = "a <b>program</b>"});
  Watcher watcher(page_->url());
  const auto page = watcher.get(http::verb::get, "");
  EXPECT_EQ(page.result_int(), 200U);
  EXPECT_THAT(page.body(), HasSubstr("<!doctype html>"));
  EXPECT_THAT(std::string(page["Content-Security-Policy"]), HasSubstr("default-src 'none'"));
  EXPECT_EQ(page["Cross-Origin-Resource-Policy"], "same-origin");
  EXPECT_EQ(page[http::field::cache_control], "no-store");
  for (const char* const file : {"page.css", "page.js", "uplot.css", "uplot.js"}) {
    EXPECT_GT(watcher.get(http::verb::get, file).body().size(), 1000U) << file;
  }
  EXPECT_EQ(watcher.get(http::verb::head, "page.js").body(), "");
  EXPECT_EQ(watcher.get(http::verb::get, "../page.js").result_int(), 404U);
  EXPECT_EQ(watcher.get(http::verb::post, "page.js").result_int(), 405U);
}

TEST_F(LivePageTest, its_socket_opens_to_its_own_page_alone) {
  serve({});
  EXPECT_EQ(Watcher(page_->url()).open("http://site.test"), 403U);
  EXPECT_EQ(Watcher(page_->url()).open("null"), 403U);
  std::string other_key = page_->url();
  other_key[other_key.size() - 2] = other_key[other_key.size() - 2] == '0' ? '1' : '0';
  EXPECT_EQ(Watcher(other_key).open(), 403U);
  EXPECT_EQ(Watcher(page_->url()).open(), 101U);
}

TEST_F(LivePageTest, one_browser_too_many_is_told_so_and_may_come_when_another_has_gone) {
  serve({});
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (std::size_t count = 0; count < PageServer::kMostBrowsers; ++count) {
    watchers.push_back(std::make_unique<Watcher>(page_->url()));
    ASSERT_EQ(watchers.back()->open(), 101U);
  }
  EXPECT_EQ(Watcher(page_->url()).open(), 503U);
  watchers.pop_back();
  while (Watcher(page_->url()).open() != 101U) std::this_thread::yield();
}

TEST_F(LivePageTest, a_hand_decides_until_it_gives_back_or_the_page_ends) {
  serve({});
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_reason(), Reason(ReasonCode::local_always).text());
  Watcher watcher(page_->url());
  ASSERT_EQ(watcher.open(), 101U);
  const auto hand_is = [](const char* hand) {
    return [hand](const nlohmann::json& json) {
      return json.contains("state") && json.at("state").at("hand") == hand;
    };
  };
  ASSERT_FALSE(watcher.read_until(hand_is("policy")).is_null());
  watcher.say("edge");
  const auto moved = watcher.read_until(hand_is("edge"));
  ASSERT_FALSE(moved.is_null());
  EXPECT_EQ(moved.at("state").at("policy"), "local");
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_reason(), "by hand: at the edge, but no edge is ready");
  const auto told = watcher.read_until([](const auto& json) { return json.contains("decisions"); });
  ASSERT_FALSE(told.is_null());
  EXPECT_EQ(told.at("decisions").back().at("function"), "demo::add");

  watcher.say("policy");
  ASSERT_FALSE(watcher.read_until(hand_is("policy")).is_null());
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_reason(), Reason(ReasonCode::local_always).text());

  watcher.say("here");
  ASSERT_FALSE(watcher.read_until(hand_is("here")).is_null());
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_reason(), "by hand: on the device");
  page_.reset();
  EXPECT_EQ(demo::add(1, 2), 3);
  EXPECT_EQ(last_reason(), Reason(ReasonCode::local_always).text());
}

TEST_F(LivePageTest, what_no_button_says_ends_the_connection) {
  serve({});
  for (const std::string& order : {std::string("reboot"), std::string(), std::string(5000, 'x')}) {
    Watcher watcher(page_->url());
    ASSERT_EQ(watcher.open(), 101U);
    watcher.say(order);
    EXPECT_TRUE(watcher.read_until([](const auto&) { return false; }).is_null());
  }
}

TEST_F(LivePageTest, a_program_that_makes_no_points_is_sampled_while_somebody_watches) {
  serve({});
  Watcher watcher(page_->url());
  ASSERT_EQ(watcher.open(), 101U);
  std::atomic<bool> stop = false;
  std::thread program([&] {
    while (!stop) (void)demo::add(1, 2);
  });
  const auto told = watcher.read_until([](const auto& json) { return json.contains("points"); });
  stop = true;
  program.join();
  ASSERT_FALSE(told.is_null());
  const auto point = told.at("points").front();
  EXPECT_GT(point[0], 0);
  EXPECT_EQ(point[1], 0);
  EXPECT_GT(point[2], 0) << "calls a second";
  EXPECT_GT(point[3], 0) << "processor time";
}

// Noise, which JPEG makes no smaller: a few pictures are more than a connection has room for.
TEST_F(LivePageTest,
       a_browser_that_does_not_read_holds_nobody_up_and_gets_the_newest_when_it_does) {
  constexpr std::uint64_t kPictures = 60;
  serve({.points = LivePoints::by_program});
  Watcher still(page_->url());
  ASSERT_EQ(still.open(), 101U);
  Watcher quick(page_->url());
  ASSERT_EQ(quick.open(), 101U);
  std::mt19937 random(1);
  std::vector<std::uint8_t> noise(std::size_t{1280} * 720 * 3);
  for (auto& each : noise) each = static_cast<std::uint8_t>(random());
  const auto picture = Image::borrow(1280, 720, PixelFormat::bgr8, noise);
  std::uint64_t seen = 0;
  // Each picture that one browser gets is one that the other could have had.
  for (std::uint64_t number = 1; seen < kPictures; ++number) {
    page_->add({.number = number});
    page_->show(picture, number);
    EXPECT_EQ(demo::add(1, 2), 3);
    const auto message = quick.read();
    ASSERT_TRUE(message.has_value());
    seen += message->picture ? 1 : 0;
  }
  page_->add({.number = 1'000'000});
  std::uint64_t got = 0;
  bool newest = false;
  while (!newest) {
    const auto message = still.read();
    ASSERT_TRUE(message.has_value());
    got += message->picture ? 1 : 0;
    if (!message->picture) newest = message->content.find("[1000000,") != std::string::npos;
  }
  EXPECT_LT(got, kPictures / 2) << "the rest was left out";
}

TEST_F(LivePageTest, a_port_that_is_taken_is_an_error_that_names_it) {
  serve({});
  const auto colon = page_->url().find(':', 7);
  const auto port = static_cast<std::uint16_t>(std::stoi(page_->url().substr(colon + 1)));
  const auto second = LivePage::serve(*runtime_, {.port = port});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::unreachable);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(port)));
}

}  // namespace
}  // namespace aloft::device
