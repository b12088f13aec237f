#include <utility>

#include <nlohmann/json.hpp>

#include "device/explain/document.h"
#include "device/page/board.h"
#include "device/page/by_hand.h"
#include "device/page/page_server.h"
#include "device/page/sampler.h"
#include <aloft/live_page.h>

namespace aloft {

using device::Hand;

struct LivePage::Impl {
  Impl(Runtime& with, LivePageOptions options)
      : runtime(with),
        policy(options.policy ? std::move(options.policy) : local_policy()),
        here(std::make_shared<device::ByHand>(Place::here, policy->needs())),
        edge(std::make_shared<device::ByHand>(Place::edge, policy->needs())),
        points(options.points),
        board(options.title.empty() ? device::this_program() : std::move(options.title),
              std::move(options.unit)) {}
  ~Impl() {
    server.reset();  // nobody moves anything from here on
    if (hand != Hand::policy) runtime.set_policy(policy);
  }

  // The server's thread.
  void move(Hand to) {
    if (std::exchange(hand, to) == to) return;
    runtime.set_policy(to == Hand::policy ? policy : to == Hand::here ? here : edge);
    looked = {};
  }

  void look() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked < kLook) return;
    looked = now;
    const auto decisions = runtime.recent_decisions();
    board.decided(decisions);
    board.set_state(state());
    if (points == LivePoints::by_program) return;
    const Runtime::LinkBytes bytes = runtime.link_bytes();
    const auto point =
        sampler.sample({.at = now,
                        .last = decisions.empty() ? std::nullopt : std::optional(decisions.back()),
                        .link_bytes = bytes.tx + bytes.rx,
                        .page_cpu = device::this_thread_cpu_time()});
    if (point) board.add(*point);
  }

  [[nodiscard]] std::string state() const {
    nlohmann::ordered_json json{{"hand", to_string(hand)}, {"policy", policy->name()}};
    json["edges"] = nlohmann::ordered_json::array();
    for (std::size_t index = 0; index < runtime.edge_count(); ++index) {
      const Runtime::LinkBytes bytes = runtime.link_bytes(index);
      json["edges"].push_back(
          {{"ready", runtime.edge_ready(index)}, {"tx", bytes.tx}, {"rx", bytes.rx}});
    }
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }

  // Decisions and the state are looked up so often; pictures and points go as they come.
  static constexpr std::chrono::milliseconds kLook{100};

  Runtime& runtime;
  const std::shared_ptr<Policy> policy;
  const std::shared_ptr<Policy> here;
  const std::shared_ptr<Policy> edge;
  const LivePoints points;
  device::Board board;

  // The server's thread's own.
  Hand hand = Hand::policy;
  std::chrono::steady_clock::time_point looked{};
  device::Sampler sampler;

  std::unique_ptr<device::PageServer> server;  // destroyed first
};

LivePage::LivePage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LivePage::~LivePage() = default;

Result<std::unique_ptr<LivePage>> LivePage::serve(Runtime& runtime, LivePageOptions options) {
  const std::uint16_t port = options.port;
  auto impl = std::make_unique<Impl>(runtime, std::move(options));
  auto server = device::PageServer::listen(port, impl->board,
                                           {.look = [at = impl.get()] { at->look(); },
                                            .move = [at = impl.get()](Hand to) { at->move(to); }});
  if (!server) return std::unexpected(std::move(server.error()));
  impl->server = *std::move(server);
  return std::unique_ptr<LivePage>(new LivePage(std::move(impl)));
}

const std::string& LivePage::url() const { return impl_->server->url(); }
void LivePage::add(const LivePoint& point) { impl_->board.add(point); }
void LivePage::show(const Image& picture, std::uint64_t number) {
  impl_->board.show(picture, number);
}
std::chrono::nanoseconds LivePage::cpu_time() const { return impl_->server->cpu_time(); }

}  // namespace aloft
