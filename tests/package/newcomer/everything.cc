// everything MANAGER KEYS: each part of the public headers once, so that what is missing in the
// installed library, or does not work from there, is noticed. It says nothing where all is well.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "ledger.aloft.h"
#include "ledger.h"
#include <aloft/channel.h>
#include <aloft/cluster.h>
#include <aloft/dispatch.h>
#include <aloft/function.h>
#include <aloft/image.h>
#include <aloft/live_page.h>
#include <aloft/nn.h>
#include <aloft/policy.h>
#include <aloft/runtime.h>

namespace {

using namespace std::chrono_literals;

void check(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(1);
}
template <class T>
T value(aloft::Result<T> result, const char* what) {
  check(result.has_value(), std::string(what) + ": " + (result ? "" : result.error().message));
  return *std::move(result);
}

std::string text_of(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class Alternately final : public aloft::Policy {
 public:
  [[nodiscard]] aloft::Decision decide(const aloft::CallContext& context) const override {
    const bool there = context.edge_ready && context.number % 2 == 1;
    return {.place = there ? aloft::Place::edge : aloft::Place::here, .reason = "by turns"};
  }
};

void use_policies() {
  for (const char* const name :
       {"local", "remote", "every:50", "min_latency", "deadline:50ms", "cool:75", "min_energy"})
    check(value(aloft::policy_by_name(name), name)->name().starts_with(name), name);
  check(!aloft::policy_by_name("hopeful"), "a policy that there is not");
  for (const auto& policy : {aloft::local_policy(), aloft::remote_policy(), aloft::every_policy(5),
                             aloft::min_latency_policy(), aloft::deadline_policy(5ms),
                             aloft::cool_policy(70), aloft::min_energy_policy()})
    check(!policy->decide({.function = "f"}).reason.text().empty(), "a decision has a reason");
}

void use_calls(aloft::Runtime& runtime) {
  check(ledger::half(8) == 4 && ledger::half(8) == 4, "calls by turns");
  for (const aloft::Place place : {aloft::Place::here, aloft::Place::edge}) {
    const aloft::PlaceScope scope(place);
    const aloft::DeadlineScope within(30s);
    try {
      ledger::half(7);
      check(false, "it gives up");
    } catch (const aloft::CallFailed& failed) {
      check(failed.error().code == aloft::Errc::trapped, failed.what());
    }
    check(value(ledger::half_async(6).get(), "half_async") == 3, "half_async");
  }
  std::size_t at_edge = 0;
  for (const auto& decision : runtime.recent_decisions()) {
    at_edge += decision.location.is_here() ? 0 : 1;
    check(!decision.reason.text().empty(), "a reason");
  }
  check(at_edge >= 2, "calls at the edge");
}

void use_object() {
  ledger::Ledger ledger;
  check(ledger.add(1) == 1, "here");
  value(aloft::move_to(ledger, aloft::Location::edge()), "a move to the edge");
  check(ledger.add(2) == 3, "at the edge");
  check(value(add_async(ledger, 3).get(), "add_async") == 6, "add_async");
  auto channel =
      value(aloft::Channel<std::uint64_t, std::uint64_t>::open(ledger, &ledger::Ledger::add),
            "a channel");
  value(channel.send(4), "a message");
  check(value(value(channel.receive(30s), "an answer").result, "its result") == 10,
        "through the channel");
  value(channel.move_to(aloft::Location::here()), "a move home");
  check(channel.stats().moves > 0 && channel.location().is_here(), "it is here");
  check(ledger.add(5) == 15, "here again");
}

void use_the_rest(aloft::Runtime& runtime) {
  check(runtime.edge_ready() && runtime.edge_ready(0) + runtime.edge_ready(1) == 1,
        "one host of the cluster");
  check(runtime.wasm_engine().starts_with("wasmtime"), "the edge's engine");
  check(!runtime.edge_inference_engine().empty() && runtime.inference_engine().empty(),
        "inference there alone");
  check(runtime.model_sha256("none").empty(), "no model");
  check(runtime.link_bytes().tx > 0 && runtime.edge_count() == 2, "what went over the link");
  check(runtime.module_digest("ledger").starts_with("sha256:"), "the module's digest");
  check(!runtime.upgrade("ledger", "no.wasm"), "an upgrade to nothing");
  static constexpr aloft::nn::Graph kNone{"none"};
  check(kNone.context().error().code == aloft::Errc::not_found, "a graph without a model");
  // Without a model there is no context to call: that they are there is enough.
  check(&aloft::nn::Context::set_input != nullptr, "set_input");
  check(&aloft::nn::Context::compute != nullptr, "compute");
  check(&aloft::nn::Context::get_output != nullptr, "get_output");
  {
    const auto page = value(aloft::LivePage::serve(runtime), "a page");
    check(page->url().starts_with("http://127.0.0.1:"), "the page's address");
    page->add({});
    page->show(aloft::Image(8, 8, aloft::PixelFormat::gray8), 1);
    check(page->cpu_time() >= 0ns, "what it cost");
  }
  runtime.set_policy(nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  check(argc == 3, "usage: everything MANAGER KEYS");
  use_policies();
  const std::string keys = argv[2];
  auto cluster =
      value(aloft::join_cluster(
                {.managers = {argv[1]},
                 .sources = {aloft::dns_sd_source("localhost"), aloft::multicast_dns_sd_source(),
                             aloft::camara_source({.url = "https://localhost"})},
                 .authority = text_of(keys + "/ca.pem"),
                 .certificate = text_of(keys + "/tenant-default.pem"),
                 .key = text_of(keys + "/tenant-default.key")}),
            "the cluster");
  auto runtime =
      value(aloft::Runtime::create({.cluster = cluster, .policy = std::make_shared<Alternately>()}),
            "a runtime");
  const auto ready = runtime->wait_for_edge(30s);
  check(ready.has_value(), ready ? "" : ready.error().message);
  aloft::bind(*runtime);
  use_calls(*runtime);
  use_object();
  use_the_rest(*runtime);
  aloft::unbind();
  return 0;
}
