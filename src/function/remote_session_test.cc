// The UE's session against an edge of the test's script, over TCP.
#include "function/remote_session.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "function/fields.h"
#include "function/testing/scripted_edge.h"
#include "net/testing/loopback.h"
#include <aloft/detail/elastic_call.h>

namespace aloft::function {
namespace {

using namespace std::chrono_literals;
using testing::Bytes;
using testing::Connected;
using testing::Lost;
using testing::ScriptedEdge;
using testing::StreamReset;

const std::string kHash(64, 'a');
extern const ModuleDescriptor kModule;
const FunctionDescriptor kFunctions[] = {
    {.module = &kModule,
     .index = 0,
     .qualified_name = "demo::first",
     .export_name = "fn_first",
     .signature_hash = kHash},
    {.module = &kModule,
     .index = 1,
     .qualified_name = "demo::second",
     .export_name = "fn_second",
     .signature_hash = kHash},
};
constexpr std::string_view kGraphs[] = {"detector"};
const ModuleDescriptor kModule{.name = "demo",
                               .digest = "sha256:dd",
                               .functions = kFunctions,
                               .graphs = kGraphs,
                               .objects = {}};

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class TestCall final : public RemoteCall {
 public:
  explicit TestCall(std::uint64_t number, Bytes arguments = bytes_of("arguments"))
      : arguments_(std::move(arguments)) {
    segment_ = arguments_;
    request = {.function = &kFunctions[1],
               .number = number,
               .arguments = std::span(&segment_, 1),
               .argument_bytes = arguments_.size(),
               .deadline = std::chrono::steady_clock::now() + 60s};
  }
  ~TestCall() override {
    if (session_ != nullptr && !is_ended())
      session_->cancel(*this, {Errc::cancelled, "the test ends"});
    if (session_ != nullptr) ended_.wait();
  }
  void start(RemoteSession& session) {
    session_ = &session;
    session.start(*this);
  }
  void on_ended() override {
    EXPECT_EQ(times_ended_.fetch_add(1), 0) << "a call ends once";
    ended_.finish();
  }
  // Waits for the call's end.
  RemoteReply& wait() {
    EXPECT_TRUE(ended_.wait_until(std::chrono::steady_clock::now() + 10s))
        << "the call does not end";
    return reply;
  }
  [[nodiscard]] bool is_ended() const { return ended_.is_done(); }
  [[nodiscard]] std::string body() const {
    return {reinterpret_cast<const char*>(reply.body.get()), reply.body_size};
  }

 private:
  Bytes arguments_;
  std::span<const std::byte> segment_;
  RemoteSession* session_ = nullptr;
  std::atomic<int> times_ended_ = 0;
  detail::Completion ended_;
};

class RemoteSessionTest : public ::testing::Test {
 protected:
  RemoteSessionTest()
      : log_(LogLevel::info, [this](LogLevel, std::string_view line) {
          const std::lock_guard lock(log_mutex_);
          lines_.emplace_back(line);
        }) {}

  [[nodiscard]] SessionOptions options(const net::Address& address) const {
    SessionOptions made;
    made.edge = address;
    made.modules.push_back({.module = &kModule, .digest = "sha256:dd", .graphs = {"detector"}});
    made.limits = {.calls = 4, .waiting = 2};
    made.link.reconnect_delay = 10ms;
    return made;
  }
  void connect(const ScriptedEdge& edge) { connect(options(edge.address())); }
  void connect(SessionOptions with) { session_.emplace(std::move(with), io_, log_); }
  // Connected, module opened, each stream with a credit.
  void connect_and_open(ScriptedEdge& edge, const std::vector<channel::StreamId>& streams,
                        std::uint64_t capacity = 1000) {
    connect(edge);
    edge.take_event<Connected>();
    edge.open_module(streams, capacity);
    ASSERT_TRUE(session_->wait_ready(10s).has_value());
  }
  [[nodiscard]] int lines_with(std::string_view text) {
    const std::lock_guard lock(log_mutex_);
    int count = 0;
    for (const std::string& line : lines_) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }

  std::mutex log_mutex_;
  std::vector<std::string> lines_;
  Log log_;
  channel::IoThread io_;
  std::optional<RemoteSession> session_;
};

TEST_F(RemoteSessionTest, opens_its_module_and_is_ready_when_the_edge_says_so) {
  ScriptedEdge edge;
  connect(edge);
  EXPECT_FALSE(session_->is_ready());
  edge.take_event<Connected>();
  const auto open = edge.take<OpenModule>();
  EXPECT_EQ(open.name, "demo");
  EXPECT_EQ(open.digest, "sha256:dd");
  ASSERT_EQ(open.functions.size(), 2U);
  EXPECT_EQ(open.functions[1].export_name, "fn_second");
  EXPECT_EQ(open.functions[1].signature_hash, kHash);
  EXPECT_EQ(open.concurrency, 4U);
  edge.send(0, ModuleOpened{open.module_id, {16}, "wasmtime 48", "onnxruntime"});
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  EXPECT_TRUE(session_->is_open(kModule));
  EXPECT_EQ(session_->wasm_engine(), "wasmtime 48");
  EXPECT_EQ(session_->inference_engine(), "onnxruntime");
}

TEST_F(RemoteSessionTest, gives_the_edge_a_model_that_it_lacks) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "aloft_session_model";
  const std::string model(300'000, 'm');
  std::ofstream(path, std::ios::binary) << model;
  const std::string sha256 = aloft::sha256(std::as_bytes(std::span(model))).hex();
  ScriptedEdge edge;
  SessionOptions with = options(edge.address());
  with.models.push_back(
      {.graph = "detector", .path = path, .sha256 = sha256, .size = model.size()});
  connect(std::move(with));
  edge.take_event<Connected>();
  const auto open = edge.take<OpenModule>();
  ASSERT_EQ(open.models.size(), 1U);
  EXPECT_EQ(open.models[0].name, "detector");
  EXPECT_EQ(open.models[0].sha256, sha256);
  EXPECT_EQ(open.models[0].size, model.size());
  edge.send(0, ModelWanted{open.module_id, sha256, 5});
  edge.grant(5, model.size());
  channel::StreamId stream = 0;
  Bytes body;
  EXPECT_EQ(edge.take<ModelBytes>(&stream, &body).sha256, sha256);
  EXPECT_EQ(stream, 5U);
  EXPECT_EQ(body, bytes_of(model));
  std::filesystem::remove(path);
}

TEST_F(RemoteSessionTest, tells_the_edge_when_a_model_is_no_longer_what_it_was) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "aloft_session_changed_model";
  std::ofstream(path, std::ios::binary) << "longer than it was";
  ScriptedEdge edge;
  SessionOptions with = options(edge.address());
  with.models.push_back({.graph = "detector", .path = path, .sha256 = kHash, .size = 5});
  connect(std::move(with));
  edge.take_event<Connected>();
  edge.send(0, ModelWanted{edge.take<OpenModule>().module_id, kHash, 5});
  const auto reset = edge.take_event<StreamReset>();
  EXPECT_EQ(reset.stream, 5U);
  EXPECT_EQ(reset.why.code, Errc::corrupt);
  std::filesystem::remove(path);
}

TEST_F(RemoteSessionTest, a_call_goes_there_and_its_result_comes_back) {
  ScriptedEdge edge;
  connect_and_open(edge, {16, 17});
  TestCall call(7, bytes_of("to the edge"));
  call.start(*session_);
  channel::StreamId stream = 0;
  Bytes arguments;
  const auto heard = edge.take<Call>(&stream, &arguments);
  EXPECT_EQ(stream, 16U);
  EXPECT_EQ(heard.call_id, 7U);
  EXPECT_EQ(heard.function, 1U);
  EXPECT_GT(heard.deadline_us, 50'000'000U);
  EXPECT_LE(heard.deadline_us, 60'000'000U);
  EXPECT_EQ(arguments, bytes_of("to the edge"));
  edge.send(stream, Return{.call_id = 7, .run_us = 1234}, bytes_of("and back"));
  const RemoteReply& reply = call.wait();
  EXPECT_TRUE(reply.outcome.has_value());
  EXPECT_EQ(call.body(), "and back");
  EXPECT_EQ(reply.head.run_us, 1234U);
  EXPECT_GT(reply.tx_bytes, arguments.size());
  EXPECT_GT(reply.rx_bytes, std::string_view("and back").size());
}

TEST_F(RemoteSessionTest, calls_wait_for_credit_and_past_the_bound_are_told_so) {
  ScriptedEdge edge;
  connect_and_open(edge, {16});
  TestCall first(1);
  TestCall second(2);
  TestCall third(3);
  TestCall fourth(4);
  first.start(*session_);
  EXPECT_EQ(edge.take<Call>().call_id, 1U);
  second.start(*session_);
  third.start(*session_);
  fourth.start(*session_);
  EXPECT_EQ(fourth.wait().outcome.error().code, Errc::overloaded);
  for (const std::uint64_t number : {1U, 2U}) {
    edge.send(16, Return{.call_id = number});
    edge.grant(16, 1000);
    EXPECT_EQ(edge.take<Call>().call_id, number + 1);
  }
  edge.send(16, Return{.call_id = 3});
  EXPECT_TRUE(first.wait().outcome.has_value());
  EXPECT_TRUE(second.wait().outcome.has_value());
  EXPECT_TRUE(third.wait().outcome.has_value());
}

TEST_F(RemoteSessionTest,
       asks_for_room_when_arguments_are_larger_than_a_buffer_and_says_so_when_it_comes_back) {
  ScriptedEdge edge;
  connect_and_open(edge, {16}, 10);
  TestCall call(1, Bytes(5000));
  call.start(*session_);
  channel::StreamId stream = 0;
  EXPECT_EQ(edge.take<NeedCapacity>(&stream).bytes, 5000U);
  EXPECT_EQ(stream, 16U);
  edge.grant(16, 8192);
  Bytes arguments;
  EXPECT_EQ(edge.take<Call>(nullptr, &arguments).call_id, 1U);
  EXPECT_EQ(arguments.size(), 5000U);
  edge.drop_link();
  edge.take_event<Connected>();
  EXPECT_EQ(edge.take<OpenModule>().argument_bytes, 5000U);
}

TEST_F(RemoteSessionTest, a_call_that_the_edge_has_no_room_for_ends_with_its_reason) {
  ScriptedEdge edge;
  connect_and_open(edge, {16}, 10);
  TestCall call(1, Bytes(5000));
  call.start(*session_);
  (void)edge.take<NeedCapacity>();
  edge.reset(16, {Errc::resource_exhausted, "an instance may have 256 MiB"});
  edge.grant(16, 10);
  EXPECT_EQ(call.wait().outcome.error().message, "an instance may have 256 MiB");
  TestCall small(2, Bytes(5));
  small.start(*session_);
  EXPECT_EQ(edge.take<Call>().call_id, 2U);
}

TEST_F(RemoteSessionTest, a_late_call_is_cancelled_at_the_edge_and_what_comes_later_is_dropped) {
  ScriptedEdge edge;
  connect_and_open(edge, {16});
  TestCall late(1);
  late.start(*session_);
  EXPECT_EQ(edge.take<Call>().call_id, 1U);
  session_->cancel(late, {Errc::deadline_exceeded, "late"});
  EXPECT_EQ(late.wait().outcome.error().code, Errc::deadline_exceeded);
  // Whether the session has heard by then that the arguments have left decides if there is a reset
  // before.
  auto event = edge.next();
  if (std::holds_alternative<StreamReset>(event)) event = edge.next();
  EXPECT_EQ(std::get<CancelCall>(std::get<testing::Arrived>(event).message).call_id, 1U);
  TestCall next(2);
  next.start(*session_);
  edge.send(16, Return{.call_id = 1}, bytes_of("too late"));
  edge.grant(16, 1000);
  EXPECT_EQ(edge.take<Call>().call_id, 2U);
  edge.send(16, Return{.call_id = 2}, bytes_of("in time"));
  EXPECT_TRUE(next.wait().outcome.has_value());
  EXPECT_EQ(next.body(), "in time");
}

TEST_F(RemoteSessionTest,
       a_call_given_up_before_the_edge_read_it_all_ends_without_waiting_for_the_edge) {
  ScriptedEdge edge;
  SessionOptions with = options(edge.address());
  with.link.dead_after = 10s;  // an edge that does not read is silent, too
  connect(std::move(with));
  edge.take_event<Connected>();
  edge.open_module({16}, 64U << 20U);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  TestCall call(1, Bytes(32U << 20U));  // more than sockets hold
  {
    const auto not_reading = edge.stop_reading();
    call.start(*session_);
    while (session_->stats().tx_bytes < 100'000)
      std::this_thread::yield();  // its credit may still be on the way
    session_->cancel(call, {Errc::cancelled, "not wanted any more"});
    EXPECT_EQ(call.wait().outcome.error().code, Errc::cancelled);
  }
  EXPECT_EQ(edge.take_event<StreamReset>().stream, 16U);
}

TEST_F(RemoteSessionTest, a_lost_edge_ends_every_call_at_once) {
  ScriptedEdge edge;
  connect_and_open(edge, {16});
  TestCall running(1);
  TestCall waiting(2);
  running.start(*session_);
  waiting.start(*session_);
  (void)edge.take<Call>();
  const auto before = std::chrono::steady_clock::now();
  edge.drop_link();
  for (TestCall* const call : {&running, &waiting}) {
    EXPECT_EQ(call->wait().outcome.error().code, Errc::unreachable);
    EXPECT_TRUE(call->reply.edge_lost);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
  EXPECT_EQ(lines_with("lost"), 1);
  EXPECT_EQ(lines_with("2 in flight"), 1);
  const auto last_heard = session_->take_loss();
  ASSERT_TRUE(last_heard.has_value());
  EXPECT_LE(*last_heard, std::chrono::steady_clock::now());
  EXPECT_GT(*last_heard, before - 1s);
  EXPECT_FALSE(session_->take_loss().has_value()) << "once";
}

TEST_F(RemoteSessionTest, an_edge_that_comes_back_is_used_again) {
  ScriptedEdge edge;
  connect_and_open(edge, {16});
  edge.drop_link();
  edge.take_event<Connected>();
  EXPECT_FALSE(session_->is_ready());
  TestCall early(1);
  early.start(*session_);
  EXPECT_EQ(early.wait().outcome.error().code, Errc::unreachable);
  edge.open_module({20}, 1000);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  EXPECT_FALSE(session_->loss_pending());
  TestCall call(2);
  call.start(*session_);
  channel::StreamId stream = 0;
  EXPECT_EQ(edge.take<Call>(&stream).call_id, 2U);
  EXPECT_EQ(stream, 20U);
}

TEST_F(RemoteSessionTest, a_refused_module_is_told_at_once_and_logged_once) {
  ScriptedEdge edge;
  connect(edge);
  for (int i = 0; i < 2; ++i) {
    edge.take_event<Connected>();
    const auto open = edge.take<OpenModule>();
    edge.send(
        0, ModuleRefused{open.module_id, {Errc::signature_mismatch, "fn_second has other types"}});
    while (session_->wait_ready(10s).error().code != Errc::signature_mismatch) {
    }
    if (i == 0) edge.drop_link();
  }
  const auto why = session_->wait_ready(10s);
  EXPECT_NE(why.error().message.find("fn_second has other types"), std::string::npos)
      << why.error().message;
  EXPECT_NE(why.error().message.find("demo"), std::string::npos) << why.error().message;
  TestCall call(1);
  call.start(*session_);
  EXPECT_EQ(call.wait().outcome.error().code, Errc::signature_mismatch);
  EXPECT_EQ(lines_with("fn_second has other types"), 1);
}

TEST_F(RemoteSessionTest, an_edge_that_never_answers_is_unreachable_after_the_timeout) {
  ScriptedEdge edge;
  connect(edge);
  edge.take_event<Connected>();
  (void)edge.take<OpenModule>();
  const auto why = session_->wait_ready(50ms);
  EXPECT_EQ(why.error().code, Errc::unreachable);
  EXPECT_NE(why.error().message.find("has not opened the module 'demo'"), std::string::npos)
      << why.error().message;
}

TEST_F(RemoteSessionTest, no_edge_at_all_is_unreachable_and_says_where) {
  std::optional<ScriptedEdge> edge(std::in_place);
  const net::Address address = edge->address();
  edge.reset();
  connect(options(address));
  const auto why = session_->wait_ready(100ms);
  EXPECT_EQ(why.error().code, Errc::unreachable);
  EXPECT_NE(why.error().message.find(address.to_string()), std::string::npos)
      << why.error().message;
}

TEST_F(RemoteSessionTest, an_edge_that_refuses_the_link_says_why_at_once) {
  ScriptedEdge edge({.role = "execution_handler",
                     .refuse_links = Error{Errc::refused, "too many sessions for you"}});
  connect(edge);
  const auto why = session_->wait_ready(10s);
  EXPECT_EQ(why.error().code, Errc::refused);
  EXPECT_NE(why.error().message.find("too many sessions for you"), std::string::npos)
      << why.error().message;
}

TEST_F(RemoteSessionTest, a_peer_that_is_no_execution_handler_is_not_used) {
  ScriptedEdge edge({.role = "ue", .refuse_links = {}});
  connect(edge);
  const auto why = session_->wait_ready(10s);
  EXPECT_EQ(why.error().code, Errc::refused);
  EXPECT_NE(why.error().message.find("no Execution Handler"), std::string::npos)
      << why.error().message;
}

// A peer that reads a connection's first bytes and answers with some of its own.
class AnsweringServer {
 public:
  explicit AnsweringServer(Bytes answer) : answer_(std::move(answer)) {
    EXPECT_NE(listening_.port(), 0);
    thread_ = std::jthread([this] {
      while (const Descriptor connection = listening_.accept()) {
        char first = 0;
        if (::recv(connection.get(), &first, 1, 0) != 1) continue;
        (void)::send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
        (void)::shutdown(connection.get(), SHUT_WR);
        while (::recv(connection.get(), &first, 1, 0) > 0) {
        }
      }
    });
  }
  ~AnsweringServer() { listening_.stop(); }
  [[nodiscard]] net::Address address() const { return {"127.0.0.1", listening_.port()}; }

 private:
  const net::testing::Listening listening_;
  const Bytes answer_;
  std::jthread thread_;
};

TEST_F(RemoteSessionTest, a_peer_of_another_protocol_is_told_at_once) {
  const AnsweringServer server(bytes_of("HTTP/1.1 400 Bad Request\r\n\r\n"));
  connect(options(server.address()));
  const auto why = session_->wait_ready(10s);
  EXPECT_EQ(why.error().code, Errc::protocol) << why.error().message;
  session_.reset();
}

TEST_F(RemoteSessionTest, a_peer_of_another_wire_version_is_told_at_once) {
  const AnsweringServer server(
      wire::pack_refused({7, 9}, {Errc::version_mismatch, "this speaks versions 7 to 9"}));
  connect(options(server.address()));
  const auto why = session_->wait_ready(10s);
  EXPECT_EQ(why.error().code, Errc::version_mismatch) << why.error().message;
  session_.reset();
}

TEST_F(RemoteSessionTest, a_stream_that_the_edge_resets_fails_its_call_only) {
  ScriptedEdge edge;
  connect_and_open(edge, {16, 17});
  TestCall first(1);
  TestCall second(2);
  first.start(*session_);
  second.start(*session_);
  (void)edge.take<Call>();
  (void)edge.take<Call>();
  edge.reset(16, {Errc::internal, "instance lost"});
  EXPECT_EQ(first.wait().outcome.error().message, "instance lost");
  edge.send(17, Return{.call_id = 2});
  EXPECT_TRUE(second.wait().outcome.has_value());
  edge.grant(16, 1000);
  TestCall third(3);
  third.start(*session_);
  channel::StreamId stream = 0;
  EXPECT_EQ(edge.take<Call>(&stream).call_id, 3U);
  EXPECT_EQ(stream, 16U);
}

TEST_F(RemoteSessionTest, a_result_larger_than_allowed_fails_its_call) {
  ScriptedEdge edge;
  SessionOptions with = options(edge.address());
  with.max_reply = 1000;
  connect(std::move(with));
  edge.take_event<Connected>();
  edge.open_module({16}, 1000);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  TestCall call(1);
  call.start(*session_);
  (void)edge.take<Call>();
  edge.send(16, Return{.call_id = 1}, Bytes(1001));
  EXPECT_FALSE(call.wait().outcome.has_value());
}

TEST_F(RemoteSessionTest, what_a_guest_says_is_logged_with_its_function_and_call) {
  ScriptedEdge edge;
  connect_and_open(edge, {16});
  TestCall call(42);
  call.start(*session_);
  (void)edge.take<Call>();
  edge.send(0, GuestLog{42, true, "frame is empty"});
  edge.send(16, Return{.call_id = 42});
  EXPECT_TRUE(call.wait().outcome.has_value());
  EXPECT_EQ(lines_with("demo::second, call 42: frame is empty"), 1);
}

TEST_F(RemoteSessionTest, its_end_ends_the_calls_that_are_in_flight) {
  ScriptedEdge edge;
  connect_and_open(edge, {16});
  TestCall running(1);
  TestCall waiting(2);
  running.start(*session_);
  waiting.start(*session_);
  (void)edge.take<Call>();
  session_.reset();
  EXPECT_EQ(running.wait().outcome.error().code, Errc::cancelled);
  EXPECT_EQ(waiting.wait().outcome.error().code, Errc::cancelled);
  EXPECT_EQ(lines_with("lost"), 0) << "the edge was not lost";
}

TEST_F(RemoteSessionTest, calls_of_many_threads_all_end_while_the_edge_comes_and_goes) {
  testing::AutomaticEdge edge([](const Call& call, const Bytes& arguments) {
    return testing::AutomaticEdge::Answer{Return{.call_id = call.call_id}, arguments};
  });
  SessionOptions with = options(net::Address::parse(edge.address()).value());
  with.limits.waiting = 100;
  connect(std::move(with));
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  std::atomic<std::uint64_t> number = 0;
  std::atomic<int> answered = 0;
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 200; ++j) {
          TestCall call(++number, Bytes(3000));
          call.start(*session_);
          if (j % 17 == 0) session_->cancel(call, {Errc::cancelled, "not wanted"});
          if (j == 100) edge.drop_link();
          ++(call.wait().outcome.has_value() ? answered : failed);
        }
      });
    }
  }
  EXPECT_EQ(answered + failed, 800);
  EXPECT_GT(answered, 0);
}

// --- Routes

struct Shown {
  std::string ticket;
  std::string session;
  std::string secret;
};
Shown shown_to(ScriptedEdge& edge) {
  const Bytes hello = edge.last_hello();
  const auto text = [](std::span<const std::byte> bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  FieldReader fields(hello, "hello");
  Shown shown;
  std::span<const std::byte> bytes;
  if (fields.has("ticket")) {
    fields.get("ticket", bytes);
    shown.ticket = text(bytes);
  }
  if (fields.has("resume")) {
    std::span<const std::byte> map;
    fields.get_map("resume", map);
    FieldReader resume(map, "resume");
    resume.get("session", shown.session);
    resume.get("secret", bytes);
    shown.secret = text(bytes);
    EXPECT_TRUE(resume.ok());
  }
  EXPECT_TRUE(fields.ok());
  return shown;
}

Route route_to(const ScriptedEdge& edge, std::string_view ticket) {
  return {.edge = edge.address(), .tls = nullptr, .session = "s1", .ticket = bytes_of(ticket)};
}

TEST_F(RemoteSessionTest, without_an_edge_it_idles_and_serves_where_it_is_routed) {
  SessionOptions with = options({});
  with.edge.reset();
  connect(std::move(with));
  EXPECT_EQ(session_->wait_ready(1ms).error().code, Errc::unreachable);
  TestCall early(1);
  early.start(*session_);
  EXPECT_EQ(early.wait().outcome.error().code, Errc::unreachable);

  ScriptedEdge edge;
  session_->route(route_to(edge, "ticket one"));
  edge.take_event<Connected>();
  EXPECT_EQ(shown_to(edge).ticket, "ticket one");
  edge.open_module({16}, 1000);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());

  session_->route(std::nullopt);
  edge.take_event<Lost>();
  EXPECT_FALSE(session_->is_ready());
  EXPECT_FALSE(session_->is_open(kModule));
  EXPECT_FALSE(session_->loss_pending()) << "it was left, not lost";
}

TEST_F(RemoteSessionTest,
       a_call_under_way_ends_when_its_edge_is_left_and_the_next_goes_to_the_new) {
  ScriptedEdge first;
  connect_and_open(first, {16});
  TestCall left(1);
  left.start(*session_);
  first.take<Call>();

  ScriptedEdge second;
  session_->route(route_to(second, ""));
  EXPECT_EQ(left.wait().outcome.error().code, Errc::unreachable);
  second.take_event<Connected>();
  second.open_module({16}, 1000);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  TestCall next(2, bytes_of("next"));
  next.start(*session_);
  channel::StreamId stream = 0;
  Bytes body;
  EXPECT_EQ(second.take<Call>(&stream, &body).call_id, 2U);
  EXPECT_EQ(body, bytes_of("next"));
  EXPECT_FALSE(session_->wait_idle(std::chrono::steady_clock::now() + 1ms));
  std::stop_source stop;
  auto waits = std::async(std::launch::async, [&] {
    return session_->wait_idle(std::chrono::steady_clock::now() + 60s, stop.get_token());
  });
  stop.request_stop();
  ASSERT_EQ(waits.wait_for(30s), std::future_status::ready);
  EXPECT_FALSE(waits.get());
  second.send(stream, Return{.call_id = 2}, bytes_of("done"));
  EXPECT_EQ(next.wait().outcome.has_value(), true);
  EXPECT_TRUE(session_->wait_idle(std::chrono::steady_clock::now() + 10s));
}

TEST_F(RemoteSessionTest, what_the_edge_gave_for_the_ticket_is_shown_when_connecting_again) {
  ScriptedEdge edge({.refuse_links = {}, .resume_secret = "secret"});
  SessionOptions with = options({});
  with.edge.reset();
  connect(std::move(with));
  session_->route(route_to(edge, "ticket"));
  edge.take_event<Connected>();
  edge.open_module({16}, 1000);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  edge.drop_link();
  edge.take_event<Connected>();
  const Shown shown = shown_to(edge);
  EXPECT_EQ(shown.session, "s1");
  EXPECT_EQ(shown.secret, "secret");
  EXPECT_EQ(shown.ticket, "");
}

TEST_F(RemoteSessionTest, a_secret_that_is_refused_is_forgotten_and_the_newest_ticket_shown) {
  ScriptedEdge edge({.refuse_links = {}, .resume_secret = "secret", .refuses_secrets = true});
  std::atomic<int> changes = 0;
  SessionOptions with = options({});
  with.edge.reset();
  with.on_change = [&] {
    ++changes;
    changes.notify_all();
  };
  connect(std::move(with));
  session_->route(route_to(edge, "ticket"));
  edge.take_event<Connected>();
  edge.open_module({16}, 1000);
  ASSERT_TRUE(session_->wait_ready(10s).has_value());
  edge.drop_link();
  for (int seen = changes; !session_->link_state().refused; seen = changes) changes.wait(seen);
  EXPECT_EQ(session_->link_state().refused->code, Errc::refused);
  EXPECT_FALSE(session_->link_state().up);
  session_->route(route_to(edge, "newer ticket"));
  edge.take_event<Connected>();
  EXPECT_EQ(shown_to(edge).ticket, "newer ticket");
  session_.reset();  // it tells of changes until its end
}

}  // namespace
}  // namespace aloft::function
