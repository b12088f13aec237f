// The live page of apps/detect in a real browser: the application, the edge and chromium are
// processes of their own.
#include <csignal>
#include <iostream>

#include <gtest/gtest.h>

#include "ops/ops_server.h"
#include "support/browser.h"
#include "support/demo.h"
#include "support/temp_dir.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;
// The picture as the browser has it, in a number.
constexpr const char* kPicture =
    "const c = document.getElementById('picture');"
    "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
    "let h = 0; for (let i = 0; i < d.length; i += 97) h = (h * 31 + d[i]) >>> 0; return h;";

class LivePageInBrowser : public ::testing::Test {
 protected:
  ~LivePageInBrowser() override {
    if (HasFailure() && app_) std::cerr << app_->transcript();
  }

  // An application that stays on the device until somebody moves it, and its page in a browser.
  void SetUp() override {
    auto edge = DemoEdge::start(cache_.path());
    ASSERT_TRUE(edge.has_value()) << edge.error().message;
    edge_.emplace(std::move(*edge));
    auto app = Process::start(
        demo_command(out_.path(), {"--edge", edge_->address(), "--place", "local", "--page",
                                   "--frames", "1000000", "--device-cpu", "100"}));
    ASSERT_TRUE(app.has_value()) << app.error().message;
    app_.emplace(std::move(*app));
    ASSERT_TRUE(app_->wait_for_error("live page: http://", kPatience)) << app_->transcript();
    ASSERT_TRUE(app_->wait_for_error("frame 1/", kPatience)) << app_->transcript();
    const std::string said = app_->standard_error();
    const auto at = said.find("http://");
    url_ = said.substr(at, said.find('\n', at) - at);
    auto browser = Browser::start();
    ASSERT_TRUE(browser.has_value()) << browser.error().message;
    browser_ = *std::move(browser);
    open(url_);
  }

  void open(const std::string& url) {
    const auto opened = browser_->open(url);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
  }
  nlohmann::json value(const std::string& script) {
    const auto answer = browser_->run(script);
    if (answer) return *answer;
    ADD_FAILURE() << answer.error().message;
    return nullptr;
  }
  void click(const std::string& button) {
    const auto clicked = browser_->click("#hand button[value=" + button + "]");
    ASSERT_TRUE(clicked.has_value()) << clicked.error().message;
  }
  // Whether the page comes to show that frames are computed there.
  bool comes(const std::string& place) {
    return browser_->eventually(
        "document.getElementById('place').dataset.place === '" + place + "'", kPatience);
  }
  std::string text() { return value("return document.body.innerText").dump(); }

  TempDir out_;
  TempDir cache_;
  std::optional<DemoEdge> edge_;
  std::optional<Process> app_;
  std::string url_;
  std::unique_ptr<Browser> browser_;
};

TEST_F(LivePageInBrowser, the_picture_changes_and_the_curves_follow_until_the_program_ends) {
  ASSERT_TRUE(comes("here")) << text();
  ASSERT_TRUE(
      browser_->eventually("document.getElementById('picture').dataset.number >= 1", kPatience))
      << text();
  EXPECT_EQ(value("const c = document.getElementById('picture'); return c.width + 'x' + c.height"),
            "768x576");
  const auto before = value(kPicture);
  const auto number = value("return +document.getElementById('picture').dataset.number");
  EXPECT_TRUE(browser_->eventually(
      "document.getElementById('picture').dataset.number > 2 + " + number.dump(), kPatience));
  EXPECT_NE(value(kPicture), before) << "the pedestrians walk";

  for (const std::string curve : {"rate", "cpu", "network"}) {
    const std::string output = "document.querySelector('#" + curve + " output')";
    EXPECT_TRUE(browser_->eventually(output + ".dataset.number > 2", kPatience)) << curve;
    const auto shown = value("return +" + output + ".dataset.number");
    EXPECT_TRUE(browser_->eventually(output + ".dataset.number > " + shown.dump(), kPatience))
        << curve;
    EXPECT_EQ(value("return isFinite(parseFloat(" + output + ".textContent))"), true) << curve;
    // Something is drawn in its canvas.
    EXPECT_EQ(value("const c = document.querySelector('#" + curve +
                    " canvas'); return c.getContext('2d').getImageData(0, 0, c.width, "
                    "c.height).data.some(b => b !== 0)"),
              true)
        << curve;
  }
  EXPECT_EQ(value("return parseFloat(document.querySelector('#rate output').textContent) > 0"),
            true);
  EXPECT_EQ(value("return parseFloat(document.getElementById('age').textContent) > 0"), true);
  EXPECT_TRUE(browser_->eventually("document.querySelector('#decisions .reason')", kPatience));

  app_->signal(SIGINT);
  EXPECT_EQ(app_->wait(kPatience), 0) << app_->transcript();
  EXPECT_TRUE(
      browser_->eventually("document.getElementById('link').dataset.state === 'lost'", kPatience));
  EXPECT_EQ(value("return document.querySelector('#hand button').disabled"), true);
}

TEST_F(LivePageInBrowser, a_click_moves_the_execution_and_another_gives_it_back_to_the_policy) {
  ASSERT_TRUE(comes("here")) << text();
  ASSERT_TRUE(browser_->eventually("document.getElementById('edges').dataset.ready > 0", kPatience))
      << text();
  click("edge");
  EXPECT_TRUE(comes("edge")) << text();
  const std::string newest =
      "document.querySelector('#decisions li[data-function=\"detect::detect_object\"]')";
  EXPECT_TRUE(
      browser_->eventually(newest + ".textContent.includes('by hand: at the edge')", kPatience))
      << text();
  EXPECT_EQ(value("return document.querySelector('#hand [aria-pressed=true]').value"), "edge");
  EXPECT_TRUE(browser_->eventually(
      "parseFloat(document.querySelector('#network output').textContent) > 1.3", kPatience))
      << "a frame of 768x576 pixels crosses the network: " << text();

  click("policy");
  EXPECT_TRUE(comes("here")) << text();
  EXPECT_TRUE(browser_->eventually(newest + ".textContent.includes('local')", kPatience)) << text();
  EXPECT_EQ(value("return document.querySelector('#hand [aria-pressed=true]').value"), "policy");

  app_->signal(SIGINT);
  ASSERT_EQ(app_->wait(kPatience), 0) << app_->transcript();
  std::string places;
  for (const auto& row : read_csv(out_ / "frames.csv")) {
    if (places.empty() || !places.ends_with(row.at("place"))) places += ' ' + row.at("place");
  }
  EXPECT_EQ(places, " local remote local");
}

// What a site's script can try, answered by "refused" or by what it got.
std::string tries(const std::string& url) {
  const std::string socket = "ws" + url.substr(4) + "live";
  return "const url = '" + url + "', socket = '" + socket + "';" + R"(
    const opens = await new Promise((done) => {
      const s = new WebSocket(socket);
      s.onopen = () => { s.send('edge'); done('open'); };
      s.onerror = () => done('refused');
    });
    const reads = await fetch(url).then((r) => r.text(), () => 'refused');
    const posts = await fetch(url + 'live', {method: 'POST', mode: 'no-cors', body: 'edge'})
      .then((r) => r.type === 'opaque' ? 'refused' : 'status ' + r.status, () => 'refused');
    const script = await new Promise((done) => {
      const s = document.createElement('script');
      s.src = url + 'uplot.js'; s.onload = () => done('loaded'); s.onerror = () => done('refused');
      document.head.append(s);
    });
    return {opens, reads: reads.includes('<html') ? 'read' : 'refused', posts, script};)";
}

TEST_F(LivePageInBrowser, a_page_from_elsewhere_can_neither_read_it_nor_move_the_execution) {
  ASSERT_TRUE(comes("here")) << text();
  ASSERT_TRUE(browser_->eventually("document.getElementById('edges').dataset.ready > 0", kPatience))
      << text();
  // Somebody else's page, at another port; it even knows the key.
  auto site = ops::OpsServer::listen("127.0.0.1:0", {.metrics = [] { return std::string(); },
                                                     .ready = [] { return Result<void>{}; }});
  ASSERT_TRUE(site.has_value()) << site.error().message;
  const std::string elsewhere = ":" + std::to_string((*site)->port()) + "/healthz";
  for (const char* const host : {"http://127.0.0.1", "http://site.test"}) {
    open(host + elsewhere);
    const auto got = value(tries(url_));
    for (const char* const way : {"opens", "reads", "posts", "script"})
      EXPECT_EQ(got[way], "refused") << host << ' ' << way;
  }
  // A name of the site's own that leads to this page's address.
  const auto port = url_.find(':', 7);
  open("http://rebound.test" + url_.substr(port));
  EXPECT_NE(text().find("has no other name"), std::string::npos) << text();
  EXPECT_EQ(value(tries("http://rebound.test" + url_.substr(port)))["opens"], "refused");
  // An address without the key.
  open(url_.substr(0, url_.find('/', 7) + 1));
  EXPECT_NE(text().find("holds a key"), std::string::npos) << text();

  open(url_);
  ASSERT_TRUE(comes("here")) << text();
  EXPECT_EQ(value("return document.querySelector('#hand [aria-pressed=true]').value"), "policy");
  for (const auto& row : read_csv(out_ / "frames.csv")) ASSERT_EQ(row.at("place"), "local");
  // The page itself can do what they tried.
  EXPECT_EQ(value(tries(url_))["opens"], "open");
  EXPECT_TRUE(comes("edge")) << text();
}

}  // namespace
}  // namespace aloft::testing
