// A real browser, headless, as a user has it in front of them: chromium, driven over WebDriver
// (https://www.w3.org/TR/webdriver2/) by chromedriver.
//
//   auto browser = Browser::start();
//   ASSERT_TRUE(browser) << browser.error().message;
//   ASSERT_TRUE((*browser)->open("http://127.0.0.1:7000/"));
//   (*browser)->run("return document.title");
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include "process.h"
#include "temp_dir.h"
#include <aloft/result.h>

namespace aloft::testing {

// Scripts and pages have limits of 30 and 60 s, which chromedriver keeps. Thread rule: one thread,
// the one that started it.
class Browser {
 public:
  // In it, every name ending in ".test" is 127.0.0.1. Errors: not_found (no chromedriver),
  // internal.
  [[nodiscard]] static Result<std::unique_ptr<Browser>> start();
  ~Browser();  // ends the browser, whatever it is at
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  // Waits until the page is loaded. Errors: internal, with what the browser says.
  [[nodiscard]] Result<void> open(const std::string& url);
  // What a script of the page's returns; it may be a promise. Errors: internal, what it throws.
  [[nodiscard]] Result<nlohmann::json> run(const std::string& script);
  // As a mouse clicks the element in its middle. Errors: internal (there is none, or it is
  // covered).
  [[nodiscard]] Result<void> click(const std::string& selector);

  // Whether the script, an expression, comes to be true within `patience`.
  [[nodiscard]] bool eventually(const std::string& expression, std::chrono::milliseconds patience);
  [[nodiscard]] pid_t process() const { return process_; }

 private:
  Browser(std::unique_ptr<TempDir> folder, Process driver, std::uint16_t port)
      : folder_(std::move(folder)), driver_(std::move(driver)), port_(port) {}
  Result<nlohmann::json> ask(const std::string& method, const std::string& path,
                             const nlohmann::json& body);

  std::unique_ptr<TempDir> folder_;  // for all files of both
  Process driver_;
  const std::uint16_t port_;
  std::string session_;  // "/session/ID"
  pid_t process_ = 0;
};

}  // namespace aloft::testing
