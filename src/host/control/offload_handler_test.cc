// A host as its managers and devices see it: tickets, tenants' processes in their sandboxes,
// modules that are fetched and compiled, aloft-host itself.
#include "host/control/offload_handler.h"

#include <array>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aloft/v1/host.grpc.pb.h"
#include "channel/tls.h"
#include "host/control/data_certificate.h"
#include "host/testing/hellos.h"
#include "identity/certificate.h"
#include "inference/testing/onnx_writer.h"
#include "support/eventually.h"
#include "support/process.h"
#include "support/process_tree.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "support/text_file.h"
#include "test_paths.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace testing;
using aloft::testing::arguments;
using aloft::testing::binary_dir;
using aloft::testing::eventually;
using aloft::testing::ModuleFile;
using aloft::testing::Process;
using aloft::testing::RawUe;
using aloft::testing::read_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uid_t kFirstUser = 1'879'100'000;

class HostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    authority_ = identity::Authority::create("test").value();
    ASSERT_TRUE(authority_->save(folder_ / "pki"));
    issue(identity::Role::host, "h1", {"127.0.0.1"});
    issue(identity::Role::manager, "m1", {"127.0.0.1"});
    issue(identity::Role::manager, "m2", {"127.0.0.1"});
    issue(identity::Role::tenant, "acme", {});
    issue(identity::Role::tenant, "thief", {});
  }
  void issue(identity::Role role, const std::string& name, std::vector<std::string> hosts) {
    const auto issued =
        authority_->issue({.identity = {"test", role, name}, .hosts = std::move(hosts)});
    ASSERT_TRUE(issued) << issued.error().message;
    ASSERT_TRUE(identity::save(*issued, folder_ / "pki", name));
  }
  [[nodiscard]] fs::path pki(const std::string& name) const { return folder_ / "pki" / name; }

  OffloadHandlerOptions options() {
    OffloadHandlerOptions options;
    options.host_id = "h1";
    options.state = folder_ / "state";
    options.program = binary_dir() / "bin/aloft-exec";
    options.certificate = pki("h1.pem");
    options.key = pki("h1.key");
    if (::geteuid() == 0) options.first_user = kFirstUser;
    options.fetch = [this](const Digest& digest, const fs::path& into,
                           const oci::Verification& verification) -> Result<oci::Fetched> {
      ++fetches_;
      if (verification.unsigned_artifacts != oci::Unsigned::allow && verification.signers.empty())
        return fail(Errc::refused, "not signed");
      for (const auto& entry : fs::directory_iterator(binary_dir() / "modules")) {
        if (entry.path().extension() != ".wasm" || sha256_file(entry.path())->digest != digest)
          continue;
        fs::copy_file(entry.path(), into, fs::copy_options::overwrite_existing);
        return oci::Fetched{.name = "a module", .manifest = {}, .size = 1, .signer = ""};
      }
      return fail(Errc::not_found, "no module sha256:" + digest.hex());
    };
    return options;
  }
  void start() { start(options()); }
  void start(OffloadHandlerOptions options) {
    auto made = OffloadHandler::create(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    handler_ = *std::move(made);
    handler_->hear(heartbeat());
  }
  [[nodiscard]] v1::HeartbeatResponse heartbeat() const {
    v1::HeartbeatResponse heartbeat;
    heartbeat.set_cluster_time_ms(100'000);
    heartbeat.set_lease_ms(2000);
    const auto raw = key_.verifying().raw();
    heartbeat.add_ticket_keys()->set_ed25519_public_key(raw.data(), raw.size());
    return heartbeat;
  }
  static v1::PrepareRequest request(const std::vector<const ModuleFile*>& modules,
                                    const std::string& session = "s1", std::uint64_t generation = 1,
                                    const std::string& tenant = "acme") {
    v1::PrepareRequest request;
    request.set_tenant(tenant);
    request.set_session_id(session);
    request.set_generation(generation);
    for (const ModuleFile* module : modules) {
      auto* const reference = request.add_modules();
      reference->set_name(module->manifest.module);
      reference->set_digest(module->digest);
    }
    request.mutable_resources()->set_memory_bytes(256U << 20U);
    request.add_host_functions("wasi_ephemeral_nn");
    request.set_allow_unsigned_modules(true);
    return request;
  }
  Result<v1::PrepareResponse> prepare(const std::vector<const ModuleFile*>& modules,
                                      const std::string& session = "s1",
                                      std::uint64_t generation = 1,
                                      const std::string& tenant = "acme") {
    return handler_->prepare(request(modules, session, generation, tenant));
  }
  [[nodiscard]] std::vector<std::byte> ticket(const v1::PrepareRequest& request,
                                              const v1::PrepareResponse& prepared) const {
    identity::Ticket ticket{.tenant = request.tenant(),
                            .session = request.session_id(),
                            .generation = request.generation(),
                            .modules = {},
                            .client_key = key_of("acme"),
                            .host = "h1",
                            .handler_boot = prepared.boot_id(),
                            .issued = identity::ClusterTime{100'000},
                            .expires = identity::ClusterTime{400'000},
                            .limits = {.memory_bytes = request.resources().memory_bytes()}};
    for (const auto& module : request.modules())
      ticket.modules.push_back(Digest::parse(module.digest()).value());
    return identity::seal(ticket, key_).value();
  }
  [[nodiscard]] Digest key_of(const std::string& who) const {
    return identity::public_key_digest(read_text(pki(who + ".pem"))).value();
  }
  // A device that shows this, with the key of `who`, to a host of the authority it trusts.
  std::unique_ptr<RawUe> connect(const std::string& address, std::vector<std::byte> hello,
                                 const std::string& who = "acme",
                                 const std::string& trusted = "ca.pem") const {
    channel::EndpointOptions link;
    link.hello = std::move(hello);
    link.tls =
        channel::TlsContext::client(
            {.certificate = pki(who + ".pem"), .key = pki(who + ".key"), .authority = pki(trusted)})
            .value();
    return std::make_unique<RawUe>(net::Address::parse(address).value(), std::move(link));
  }
  void expect_works(RawUe& ue) {
    ASSERT_TRUE(ue.wait_up(20s));
    const auto module = ue.open(probe_, {});
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_EQ(ue.call(*module, "probe::join", arguments("a", "b")).get<std::string>(), "ab");
  }
  // The handler's process: the child of the one that waits for it.
  static pid_t inner(pid_t outer) {
    const auto children = aloft::testing::children_of(outer);
    return children.empty() ? -1 : children.front();
  }
  // Processes of this test's, by what they were started as.
  [[nodiscard]] static std::set<pid_t> tenants_processes() {
    std::set<pid_t> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const auto status = read_text(entry.path() / "status");
      const auto parent = status.find("PPid:\t" + std::to_string(::getpid()) + "\n");
      if (parent != std::string::npos && status.starts_with("Name:\taloft-exec"))
        found.insert(static_cast<pid_t>(std::stol(name)));
    }
    return found;
  }

  aloft::testing::TempDir folder_;
  std::optional<identity::Authority> authority_;
  const identity::SigningKey key_ = identity::SigningKey::generate();
  const ModuleFile probe_{binary_dir() / "modules/probe.wasm"};
  const ModuleFile infer_{binary_dir() / "modules/infer.wasm"};
  int fetches_ = 0;
  std::unique_ptr<OffloadHandler> handler_;
};

TEST_F(HostTest, a_device_with_a_ticket_calls_and_infers_inside_the_sandbox) {
  start();
  const auto wanted = request({&probe_, &infer_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_GT(prepared->compile_us(), 0U);
  const auto ue = connect(prepared->address(), hello_with_ticket(ticket(wanted, *prepared)));
  expect_works(*ue);
  const auto module = ue->open(infer_, {{"model", inference::testing::doubling_model({1})}});
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(ue->call(*module, "infer::run", arguments(21.0F)).get<float>(), 42.0F);

  // What was compiled for the first session is there for the next one.
  EXPECT_EQ(prepare({&probe_, &infer_}, "s2")->compile_us(), 0U);
  EXPECT_EQ(fetches_, 2);
  EXPECT_EQ(handler_->compiled_modules().size(), 2U);

  // As the system sees it.
  const auto processes = tenants_processes();
  ASSERT_EQ(processes.size(), 1U);
  const pid_t inside = inner(*processes.begin());
  ASSERT_GT(inside, 0);
  const std::string proc = "/proc/" + std::to_string(inside);
  const auto status = read_text(proc + "/status");
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2\n"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000\n"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t0000000000000000\n"));
  if (::geteuid() == 0) {
    EXPECT_THAT(status, HasSubstr("Uid:\t" + std::to_string(kFirstUser + 1) + "\t"));
  }
  for (const char* name : {"mnt", "pid", "ipc", "uts", "net", "cgroup"}) {
    EXPECT_NE(fs::read_symlink(proc + "/ns/" + name),
              fs::read_symlink(fs::path("/proc/self/ns") / name))
        << name;
  }
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(proc + "/root"))
    seen.insert(entry.path().filename().string());
  EXPECT_EQ(seen, (std::set<std::string>{"compiled", "modules", "scratch"}));
}

TEST_F(HostTest, tenants_infer_through_the_inference_process_which_may_be_killed) {
  auto with = options();
  with.inference = InferProcessOptions{.program = binary_dir() / "bin/aloft-infer", .setup = {}};
  start(std::move(with));
  const auto model = inference::testing::doubling_model({1});
  struct Device {
    std::unique_ptr<RawUe> ue;
    RawUe::Module module;
  };
  std::vector<Device> devices;
  for (const std::string tenant : {"acme", "other"}) {
    const auto wanted = request({&infer_}, "s-" + tenant, 1, tenant);
    const auto prepared = handler_->prepare(wanted);
    ASSERT_TRUE(prepared) << prepared.error().message;
    auto ue = connect(prepared->address(), hello_with_ticket(ticket(wanted, *prepared)));
    ASSERT_TRUE(ue->wait_up(20s));
    const auto module = ue->open(infer_, {{"model", model}});
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_THAT(module->inference, HasSubstr("onnxruntime"));
    devices.push_back({std::move(ue), *module});
  }
  float x = 1;
  pid_t killed = -1;
  for (int kill = 0; kill < 3; ++kill) {
    // The next one, and not the one that has been killed and is not yet known to be gone.
    ASSERT_TRUE(eventually(30s, [&] { return handler_->inference()->pid() != killed; }));
    for (const Device& device : devices) {
      const auto answer = device.ue->call(device.module, "infer::run", arguments(x));
      ASSERT_FALSE(answer.error()) << answer.head.error->message;
      EXPECT_EQ(answer.get<float>(), 2 * x);
      ++x;
    }
    killed = handler_->inference()->pid();
    ASSERT_EQ(::kill(killed, SIGKILL), 0);
  }
  EXPECT_FALSE(devices[0].ue->call(devices[0].module, "infer::run", arguments(x)).error());
  // The one that was killed last may have answered that, too.
  EXPECT_TRUE(eventually(30s, [&] { return handler_->inference()->starts() >= 4; }));
}

TEST_F(HostTest, an_endless_inference_costs_its_call_and_neither_process) {
  auto with = options();
  with.inference = InferProcessOptions{.program = binary_dir() / "bin/aloft-infer", .setup = {}};
  start(std::move(with));
  const auto wanted = request({&infer_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto ue = connect(prepared->address(), hello_with_ticket(ticket(wanted, *prepared)));
  ASSERT_TRUE(ue->wait_up(20s));
  const auto endless = ue->open(infer_, {{"model", inference::testing::endless_model()}});
  ASSERT_TRUE(endless) << endless.error().message;
  // Another session of the tenant: each has one inference at a time.
  const auto second = request({&infer_}, "s2");
  const auto again = handler_->prepare(second);
  ASSERT_TRUE(again) << again.error().message;
  const auto other = connect(again->address(), hello_with_ticket(ticket(second, *again)));
  ASSERT_TRUE(other->wait_up(20s));
  const auto doubling = other->open(infer_, {{"model", inference::testing::doubling_model({1})}});
  ASSERT_TRUE(doubling) << doubling.error().message;
  EXPECT_EQ(ue->call(*endless, "infer::run", arguments(1.0F), {.deadline = 300ms}).error(),
            Errc::deadline_exceeded);
  // An inference process that dies with it, twice: the device is told, and falls back.
  const auto call = ue->start(*endless, "infer::run", arguments(1.0F));
  ASSERT_TRUE(call) << call.error().message;
  pid_t killed = -1;
  for (int kill = 0; kill < 3; ++kill) {
    // The next one, and not the one that has been killed and is not yet known to be gone.
    ASSERT_TRUE(eventually(30s, [&] { return handler_->inference()->pid() != killed; }));
    ASSERT_EQ(other->call(*doubling, "infer::run", arguments(2.0F)).get<float>(), 4.0F);
    killed = handler_->inference()->pid();
    ASSERT_EQ(::kill(killed, SIGKILL), 0);
  }
  EXPECT_EQ(ue->wait(*call).error(), Errc::unreachable);
  EXPECT_EQ(other->call(*doubling, "infer::run", arguments(2.0F)).get<float>(), 4.0F);
}

TEST_F(HostTest, without_the_right_ticket_and_key_nobody_gets_in) {
  start();
  const auto wanted = request({&probe_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto good = hello_with_ticket(ticket(wanted, *prepared));
  const auto refusal = [&](std::vector<std::byte> hello, const std::string& who) {
    const auto down = connect(prepared->address(), std::move(hello), who)->wait_down(20s);
    return down ? down->message : "let in, or silent";
  };
  EXPECT_THAT(refusal(plain_hello(), "acme"), HasSubstr("open a session"));
  EXPECT_THAT(refusal(good, "thief"), HasSubstr("another key"));
  auto forged = ticket(wanted, *prepared);
  forged[40] ^= std::byte{1};
  EXPECT_THAT(refusal(hello_with_ticket(forged), "acme"), HasSubstr("signature"));
  // Of another tenant, which has a process of its own here.
  const auto others = request({&probe_}, "s9", 1, "other");
  const auto elsewhere = handler_->prepare(others);
  ASSERT_TRUE(elsewhere) << elsewhere.error().message;
  EXPECT_NE(elsewhere->address(), prepared->address());
  EXPECT_THAT(refusal(hello_with_ticket(ticket(others, *elsewhere)), "acme"), HasSubstr("another"));
  // A module that the ticket does not name.
  const auto ue = connect(prepared->address(), good);
  ASSERT_TRUE(ue->wait_up(20s));
  const auto module = ue->open(infer_, {});
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code, Errc::refused);
}

TEST_F(HostTest, a_device_comes_back_after_its_handler_was_killed_with_the_secret_alone) {
  start();
  const auto wanted = request({&probe_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  auto ue = connect(prepared->address(), hello_with_ticket(ticket(wanted, *prepared)));
  expect_works(*ue);
  const auto secret = resume_secret(ue->edge_hello());
  ASSERT_FALSE(secret.empty());
  for (const pid_t process : tenants_processes()) ::kill(process, SIGKILL);
  ASSERT_TRUE(ue->wait_down(20s));
  ue = connect(prepared->address(), hello_to_resume("s1", secret));
  expect_works(*ue);
  // The successor knows what is over.
  v1::ReleaseRequest release;
  release.set_tenant("acme");
  release.set_session_id("s1");
  release.set_generation(1);
  ASSERT_TRUE(handler_->release(release));
  const auto down = ue->wait_down(20s);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->code, Errc::refused);
  for (const pid_t process : tenants_processes()) ::kill(process, SIGKILL);
  std::optional<Error> refused;
  for (int tries = 0; tries < 100 && (!refused || refused->code != Errc::refused); ++tries)
    refused = connect(prepared->address(), hello_to_resume("s1", secret))->wait_down(20s);
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->message, HasSubstr("over"));
}

TEST_F(HostTest, a_second_connection_of_a_session_takes_the_place_of_the_first) {
  start();
  const auto wanted = request({&probe_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto hello = hello_with_ticket(ticket(wanted, *prepared));
  const auto first = connect(prepared->address(), hello);
  ASSERT_TRUE(first->wait_up(20s));
  const auto second = connect(prepared->address(), hello);
  ASSERT_TRUE(second->wait_up(20s));
  const auto down = first->wait_down(20s);
  ASSERT_TRUE(down);
  EXPECT_THAT(down->message, HasSubstr("another connection"));
}

TEST_F(HostTest, what_may_not_run_here_is_refused_with_the_reason) {
  start();
  auto unsigned_one = request({&probe_});
  unsigned_one.set_allow_unsigned_modules(false);
  EXPECT_EQ(handler_->prepare(unsigned_one).error().code, Errc::refused);
  auto no_nn = request({&infer_});
  no_nn.clear_host_functions();
  EXPECT_THAT(handler_->prepare(no_nn).error().message, HasSubstr("wasi_ephemeral_nn"));
  auto bad = request({&probe_});
  bad.set_tenant("../acme");
  EXPECT_EQ(handler_->prepare(bad).error().code, Errc::invalid_argument);
  bad = request({&probe_});
  bad.mutable_modules(0)->set_digest("sha256:" + std::string(64, '0'));
  EXPECT_EQ(handler_->prepare(bad).error().code, Errc::not_found);
  handler_->drain();
  EXPECT_EQ(prepare({&probe_}).error().code, Errc::unreachable);
}

TEST_F(HostTest, a_compiled_module_that_was_changed_on_disk_is_compiled_anew) {
  start();
  ASSERT_TRUE(prepare({&probe_}));
  handler_.reset();
  for (const auto& entry : fs::directory_iterator(folder_ / "state" / "compiled")) {
    if (entry.path().extension() != ".cwasm") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file << "tampered";
  }
  start();
  const auto again = prepare({&probe_});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_GT(again->compile_us(), 0U);
  // So is the module's own file.
  for (const auto& entry : fs::directory_iterator(folder_ / "state" / "modules"))
    std::ofstream(entry.path(), std::ios::app) << "x";
  const int before = fetches_;
  ASSERT_TRUE(prepare({&probe_}, "s2"));
  EXPECT_EQ(fetches_, before + 1);
}

TEST_F(HostTest, a_compiler_that_takes_too_much_is_ended_with_the_reason) {
  auto small = options();
  small.compile_limit = 1ms;
  start(std::move(small));
  EXPECT_EQ(prepare({&probe_}).error().code, Errc::deadline_exceeded);
  handler_.reset();
  small = options();
  small.compile_memory = 1U << 20U;
  start(std::move(small));
  const auto prepared = prepare({&probe_});
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Errc::resource_exhausted) << prepared.error().message;
}

TEST_F(HostTest, a_module_that_took_too_long_is_not_compiled_again_at_once) {
  auto small = options();
  small.compile_limit = 1ms;
  start(std::move(small));
  const auto first = prepare({&probe_});
  ASSERT_FALSE(first);
  EXPECT_EQ(fetches_, 1);
  const auto second = prepare({&probe_}, "s2", 1, "another");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, first.error().message);
  EXPECT_EQ(fetches_, 1) << "nothing was spent on it";
}

TEST_F(HostTest, modules_that_take_long_hold_up_their_own_tenant_alone) {
  const ModuleFile hostile(binary_dir() / "modules/hostile.wasm");
  std::mutex mutex;
  std::condition_variable changed;
  int held = 0;
  bool let_go = false;
  auto slow = options();
  slow.fetch = [&, inner = slow.fetch](const Digest& digest, const fs::path& into,
                                       const oci::Verification& verification) {
    if ("sha256:" + digest.hex() != probe_.digest) {
      std::unique_lock lock(mutex);
      ++held;
      changed.notify_all();
      changed.wait(lock, [&] { return let_go; });
    }
    return inner(digest, into, verification);
  };
  start(std::move(slow));
  std::array<std::optional<Result<v1::PrepareResponse>>, 2> outcomes;
  {
    std::jthread first([&] { outcomes[0] = prepare({&infer_}, "e1", 1, "evil"); });
    std::jthread second([&] { outcomes[1] = prepare({&hostile}, "e2", 1, "evil"); });
    {
      std::unique_lock lock(mutex);
      EXPECT_TRUE(changed.wait_for(lock, 20s, [&] { return held > 0; }));
    }
    const auto prepared = prepare({&probe_}, "s1", 1, "acme");
    EXPECT_TRUE(prepared) << prepared.error().message;
    const std::lock_guard lock(mutex);
    EXPECT_EQ(held, 1) << "one module of a tenant at a time";
    let_go = true;
    changed.notify_all();
  }
  for (const auto& outcome : outcomes) EXPECT_TRUE(*outcome) << outcome->error().message;
}

TEST_F(HostTest, says_what_is_placed_at_it_and_frees_what_has_ended) {
  start();
  ASSERT_TRUE(prepare({&probe_}, "s1"));
  ASSERT_TRUE(prepare({&probe_}, "s2", 3));
  v1::HeartbeatRequest beat;
  handler_->report(beat);
  ASSERT_EQ(beat.placements_size(), 2);
  EXPECT_EQ(beat.placements(1).tenant(), "acme");
  EXPECT_EQ(beat.placements(1).session_id(), "s2");
  EXPECT_EQ(beat.placements(1).generation(), 3U);
  auto answer = heartbeat();
  *answer.add_ended() = beat.placements(0);
  // Of one that has come back under a higher number meanwhile.
  *answer.add_ended() = beat.placements(1);
  ASSERT_TRUE(prepare({&probe_}, "s2", 4));
  handler_->hear(answer);
  EXPECT_EQ(handler_->sessions(), 1U);

  // A heartbeat has room for some of them; the next one goes on from there.
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(prepare({&probe_}, "t" + std::to_string(i)));
  std::set<std::string> named;
  for (int i = 0; i < 2; ++i) {
    beat.Clear();
    handler_->report(beat);
    EXPECT_LE(beat.placements_size(), 64);
    for (const auto& placement : beat.placements()) named.insert(placement.session_id());
  }
  EXPECT_EQ(named.size(), 101U);
  EXPECT_GE(handler_->modules_use().found, 102U) << "compiled once, found by all others";
}

TEST_F(HostTest, a_process_in_spare_is_the_next_tenants_and_another_one_takes_its_place) {
  auto with = options();
  with.spare_places = 1;
  start(std::move(with));
  ASSERT_TRUE(eventually(60s, [] { return tenants_processes().size() == 1; }));
  const pid_t spare = *tenants_processes().begin();
  const auto wanted = request({&probe_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto ue = connect(prepared->address(), hello_with_ticket(ticket(wanted, *prepared)));
  expect_works(*ue);
  auto use = handler_->tenants_use();
  ASSERT_EQ(use.size(), 1U);
  EXPECT_EQ(use[0].process, inner(spare));
  EXPECT_EQ(use[0].starts, 1U);
  const auto command = read_text("/proc/" + std::to_string(use[0].process) + "/cmdline");
  EXPECT_THAT(command, HasSubstr(std::string("--tenant\0acme\0", 14)));

  ASSERT_TRUE(eventually(60s, [] { return tenants_processes().size() == 2; }));
  const auto other = request({&probe_}, "s2", 1, "thief");
  const auto theirs = handler_->prepare(other);
  ASSERT_TRUE(theirs) << theirs.error().message;
  // A place is its tenant's: nobody else gets in.
  const auto refused =
      connect(theirs->address(), hello_with_ticket(ticket(wanted, *prepared)))->wait_down(20s);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Errc::refused);
}

TEST_F(HostTest, a_process_in_spare_that_has_died_costs_its_tenant_no_more_than_a_start) {
  auto with = options();
  with.spare_places = 1;
  start(std::move(with));
  ASSERT_TRUE(eventually(60s, [] { return tenants_processes().size() == 1; }));
  const pid_t spare = *tenants_processes().begin();
  ::kill(spare, SIGKILL);
  const auto wanted = request({&probe_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto ue = connect(prepared->address(), hello_with_ticket(ticket(wanted, *prepared)));
  expect_works(*ue);
}

TEST_F(HostTest, a_certificate_that_is_renewed_is_shown_and_one_that_is_no_good_is_not) {
  start();
  const auto wanted = request({&probe_});
  const auto prepared = handler_->prepare(wanted);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto hello = hello_with_ticket(ticket(wanted, *prepared));
  const auto is_let_in_by_one_of = [&](const char* trusted) {
    return connect(prepared->address(), hello, "acme", trusted)->wait_up(60s);
  };
  // Of a host whose certificate it does not trust, a device says so at once.
  const auto refuses_one_of = [&](const char* trusted) {
    return connect(prepared->address(), hello, "acme", trusted)->wait_down(60s).has_value();
  };
  const auto next = identity::Authority::create("test").value();
  ASSERT_TRUE(next.save(folder_ / "pki", "next"));
  const auto of = [](const identity::Authority& authority) {
    return authority
        .issue({.identity = {"test", identity::Role::host, "h1"}, .hosts = {"127.0.0.1"}})
        .value();
  };
  const auto put = [&](const identity::IssuedCertificate& issued) {
    ASSERT_TRUE(identity::save(issued, folder_ / "pki", "h1", identity::Existing::replace));
  };
  const auto watched = DataCertificate::watch(*handler_, pki("h1.pem"), pki("h1.key"));
  ASSERT_TRUE(watched) << watched.error().message;
  EXPECT_TRUE(is_let_in_by_one_of("ca.pem"));
  EXPECT_TRUE(refuses_one_of("next.pem"));

  // By the watch alone.
  put(of(next));
  EXPECT_TRUE(is_let_in_by_one_of("next.pem")) << "it tries again and again";
  EXPECT_TRUE(refuses_one_of("ca.pem"));

  // A key of another certificate, and no certificate at all.
  auto mixed = of(*authority_);
  mixed.key_pem = of(next).key_pem;
  put(mixed);
  (*watched)->reload();
  EXPECT_TRUE(is_let_in_by_one_of("next.pem"));
  mixed.certificate_pem = "no certificate";
  put(mixed);
  (*watched)->reload();
  EXPECT_TRUE(is_let_in_by_one_of("next.pem"));
  EXPECT_FALSE(DataCertificate::watch(*handler_, pki("h1.pem"), pki("h1.key")));

  put(of(*authority_));
  (*watched)->reload();
  EXPECT_TRUE(is_let_in_by_one_of("ca.pem"));
  EXPECT_TRUE(refuses_one_of("next.pem"));
  // One that is renewed while nobody is there is shown by the next process of a tenant.
  const auto other = request({&probe_}, "s-other", 1, "other");
  const auto at = handler_->prepare(other);
  ASSERT_TRUE(at) << at.error().message;
  EXPECT_TRUE(connect(at->address(), hello_with_ticket(ticket(other, *at)))->wait_up(20s));
}

TEST_F(HostTest, its_end_leaves_no_process_and_no_folder_of_a_tenant) {
  start();
  ASSERT_TRUE(prepare({&probe_}));
  ASSERT_FALSE(tenants_processes().empty());
  handler_.reset();
  EXPECT_THAT(tenants_processes(), IsEmpty());
  EXPECT_TRUE(fs::is_empty(folder_ / "state" / "tenants"));
}

// --- aloft-host ------------------------------------------------------------------------

// A manager as far as hosts know.
class Manager final : public v1::Hosts::Service {
 public:
  explicit Manager(v1::HeartbeatResponse answer) : answer_(std::move(answer)) {}
  grpc::Status Register(grpc::ServerContext*, const v1::RegisterHostRequest* request,
                        v1::HeartbeatResponse* response) override {
    const std::lock_guard lock(mutex_);
    registered_ = *request;
    *response = answer_;
    changed_.notify_all();
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    const std::lock_guard lock(mutex_);
    beat_ = *request;
    *response = answer_;
    response->set_unknown(!registered_);
    changed_.notify_all();
    return grpc::Status::OK;
  }
  std::optional<v1::RegisterHostRequest> registered() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return registered_ && beat_; });
    return registered_;
  }
  // Of these certificates, from the next answer on.
  void revoke(const std::vector<Digest>& keys, const std::string& version) {
    const std::lock_guard lock(mutex_);
    auto& revoked = *answer_.mutable_revoked();
    for (const Digest& key : keys) revoked.add_keys(key.bytes.data(), key.bytes.size());
    revoked.set_version(version);
  }
  // Whether a heartbeat says that the host has that list.
  bool hears_of_revocations(const std::string& version, std::chrono::seconds limit = 20s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit,
                             [&] { return beat_ && beat_->revoked_version() == version; });
  }
  // Of the next heartbeats only.
  void forget() {
    const std::lock_guard lock(mutex_);
    beat_.reset();
  }
  bool hears_of_draining() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return beat_ && beat_->draining(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  v1::HeartbeatResponse answer_;
  std::optional<v1::RegisterHostRequest> registered_;
  std::optional<v1::HeartbeatRequest> beat_;
};

class DaemonTest : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    fs::create_directories(folder_ / "repository");
    std::ofstream(folder_ / "repository" / "oci-layout") << R"({"imageLayoutVersion":"1.0.0"})";
    std::ofstream(folder_ / "repository" / "index.json") << R"({"schemaVersion":2,"manifests":[]})";
  }
  // Serves at this port (0: any), with the certificate of `who`.
  std::unique_ptr<grpc::Server> serve(Manager& manager, const std::string& who, int& port) {
    grpc::SslServerCredentialsOptions credentials(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    credentials.pem_root_certs = read_text(pki("ca.pem"));
    credentials.pem_key_cert_pairs = {{read_text(pki(who + ".key")), read_text(pki(who + ".pem"))}};
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port),
                             grpc::SslServerCredentials(credentials), &port);
    builder.RegisterService(&manager);
    return builder.BuildAndStart();
  }
  Result<Process> start_daemon(const std::string& managers) {
    return Process::start({(binary_dir() / "bin/aloft-host").string(), "--managers", managers,
                           "--certificate", pki("h1.pem").string(), "--key", pki("h1.key").string(),
                           "--credentials", (folder_ / "pki").string(), "--repository",
                           (folder_ / "repository").string(), "--state",
                           (folder_ / "state").string(), "--drain-limit", "500ms"});
  }
  // What the daemon says to `who`, who asks it to prepare a session.
  grpc::StatusCode prepare_as(const std::string& who, const std::string& control_address) {
    const auto channel = grpc::CreateChannel(
        control_address,
        grpc::SslCredentials({read_text(pki("ca.pem")), read_text(pki(who + ".key")),
                              read_text(pki(who + ".pem"))}));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 20s);
    v1::PrepareResponse response;
    return v1::HostOffloadHandler::NewStub(channel)
        ->Prepare(&context, request({&probe_}), &response)
        .error_code();
  }
};

TEST_F(DaemonTest, registers_obeys_managers_that_are_not_revoked_and_drains_when_told_to_end) {
  Manager manager(heartbeat());
  int port = 0;
  const auto server = serve(manager, "m1", port);
  // The first manager is not there: the next one is asked.
  auto host = start_daemon("127.0.0.1:1,127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(host) << host.error().message;
  const auto registered = manager.registered();
  ASSERT_TRUE(registered) << host->transcript();
  EXPECT_EQ(registered->host_id(), "h1");
  EXPECT_GT(registered->capacity().memory_bytes(), 0U);

  const std::string& at = registered->control_address();
  EXPECT_EQ(prepare_as("acme", at), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(prepare_as("h1", at), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(prepare_as("m1", at), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(prepare_as("m2", at), grpc::StatusCode::NOT_FOUND);
  manager.revoke({key_of("m2")}, "1");
  ASSERT_TRUE(manager.hears_of_revocations("1")) << host->transcript();
  EXPECT_EQ(prepare_as("m2", at), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(prepare_as("m1", at), grpc::StatusCode::NOT_FOUND);

  host->signal(SIGTERM);
  EXPECT_TRUE(manager.hears_of_draining()) << host->transcript();
  EXPECT_EQ(host->wait(20s), 0) << host->transcript();
  server->Shutdown(std::chrono::system_clock::now());
}

TEST_F(DaemonTest, believes_nothing_that_a_revoked_manager_says_and_goes_to_the_next_one) {
  Manager honest(heartbeat());
  Manager thief(heartbeat());
  int port = 0;
  int other_port = 0;
  auto server = serve(honest, "m1", port);
  const auto other_server = serve(thief, "m2", other_port);
  auto host = start_daemon("127.0.0.1:" + std::to_string(port) +
                           ",127.0.0.1:" + std::to_string(other_port));
  ASSERT_TRUE(host) << host.error().message;
  const auto registered = honest.registered();
  ASSERT_TRUE(registered) << host->transcript();
  honest.revoke({key_of("m2")}, "1");
  ASSERT_TRUE(honest.hears_of_revocations("1")) << host->transcript();

  // It says that nobody is revoked.
  thief.revoke({}, "2");
  server->Shutdown(std::chrono::system_clock::now());
  server.reset();
  EXPECT_TRUE(host->wait_for_error("its certificate has been revoked: it is not believed", 60s))
      << host->transcript();
  EXPECT_EQ(prepare_as("m2", registered->control_address()), grpc::StatusCode::UNAUTHENTICATED);

  // The honest one again: the host has its list still.
  honest.forget();
  server = serve(honest, "m1", port);
  ASSERT_TRUE(server);
  EXPECT_TRUE(honest.hears_of_revocations("1")) << host->transcript();
  EXPECT_FALSE(thief.hears_of_revocations("2", 0s)) << "it would have taken that list over";
  EXPECT_EQ(prepare_as("m2", registered->control_address()), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(prepare_as("m1", registered->control_address()), grpc::StatusCode::NOT_FOUND);
  host->kill();
}

TEST_F(DaemonTest, says_what_is_wrong_with_what_it_is_given) {
  const auto failure = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), (binary_dir() / "bin/aloft-host").string());
    auto host = Process::start(arguments);
    EXPECT_NE(host->wait(20s).value_or(0), 0);
    return host->standard_error();
  };
  EXPECT_THAT(failure({}), HasSubstr("error: "));
  const std::vector<std::string> common{"--managers",    "127.0.0.1:1",
                                        "--state",       (folder_ / "state").string(),
                                        "--repository",  (folder_ / "none").string(),
                                        "--credentials", (folder_ / "pki").string()};
  auto with = common;
  EXPECT_THAT(failure(with), HasSubstr("host-*.pem"));
  with = common;
  with.insert(with.end(), {"--certificate", pki("acme.pem").string()});
  EXPECT_THAT(failure(with), HasSubstr("no host's certificate"));
  with = common;
  with.insert(with.end(), {"--certificate", pki("h1.pem").string()});
  EXPECT_THAT(failure(with), HasSubstr("none"));
}

}  // namespace
}  // namespace aloft::host
