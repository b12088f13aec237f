// Guests and models that do their worst in a cluster, while another tenant's session goes on.
#include <gmock/gmock.h>

#include "attack_modules.h"
#include "inference/testing/onnx_writer.h"
#include "world.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// Its weights are said to lie in a file of the host's.
std::vector<std::byte> external_data_model() {
  using namespace inference::testing;
  const auto entry = [](const char* key, const char* value) {
    return Proto{}.text(1, key).text(2, value);
  };
  const Proto tensor = Proto{}
                           .number(1, 4)
                           .number(2, static_cast<std::int64_t>(OnnxType::f32))
                           .text(8, "weights")
                           .message(13, entry("location", "../../../../etc/passwd"))
                           .number(14, 1);
  return model(graph("external", {{.op = "Add", .inputs = {"x", "weights"}, .outputs = {"y"}}},
                     {value_info("x", OnnxType::f32, {4})}, {value_info("y", OnnxType::f32, {4})},
                     {tensor}));
}

constexpr RawCallOptions kShort{.deadline = 300ms, .limit = kPatience};
constexpr RawCallOptions kCall{.deadline = {}, .limit = kPatience};

class GuestAttack : public HostileTest {
 protected:
  // A link of the attacker's with this module open; null is a failure of the test.
  struct Open {
    std::unique_ptr<RawUe> ue;
    RawUe::Module module;
  };
  Open open(const ModuleFile& file, const ClusterDevice& device,
            const std::vector<TestModel>& models = {}) {
    auto ue = linked(device, {&file});
    if (!ue) return {};
    auto module = open_patiently(*ue, file, models);
    if (module) return {std::move(ue), *module};
    ADD_FAILURE() << module.error().message;
    return {};
  }
  Open open(const ModuleFile& file, const std::vector<TestModel>& models = {}) {
    return open(file, evil_, models);
  }
};

struct Misdeed {
  const char* name;
  const char* function;
  std::vector<std::byte> arguments;
  std::optional<Errc> error;  // none: the guest gets no for an answer, and says so
  const char* says;
};

TEST_F(GuestAttack, of_any_kind_harms_its_own_call_alone) {
  const Misdeed misdeeds[] = {
      {"a loop", "hostile::loop_for_ever", arguments(1U), Errc::deadline_exceeded, "time"},
      {"output", "hostile::print_without_end", arguments(1), Errc::deadline_exceeded, "time"},
      {"abort", "hostile::give_up", arguments(1), Errc::trapped, "nothing to be done"},
      {"division", "hostile::divide", arguments(1, 0), Errc::trapped, "zero"},
      {"a read", "hostile::read_outside", arguments(0xF000'0000U), Errc::trapped, "out of bounds"},
      {"recursion", "hostile::recurse", arguments(1), Errc::trapped, ""},
      {"small pieces", "hostile::allocate_without_end", arguments(65536U), std::nullopt, ""},
      {"4 GiB", "hostile::ask_for", arguments(0xFFFF'0000U), std::nullopt, ""},
      {"junk", "hostile::answer", arguments("no number"), Errc::protocol, "hostile::answer"}};
  Bystander bystander(cluster());
  const auto [ue, module] = open(hostile_);
  ASSERT_TRUE(ue);
  const auto before = tenants_processes();
  for (const Misdeed& misdeed : misdeeds) {
    const bool is_endless = misdeed.error == Errc::deadline_exceeded;
    const auto answer =
        ue->call(module, misdeed.function, misdeed.arguments, is_endless ? kShort : kCall);
    EXPECT_EQ(answer.error(), misdeed.error) << misdeed.name;
    if (answer.error()) {
      EXPECT_THAT(answer.head.error->message, HasSubstr(misdeed.says));
    }
    const auto after = ue->call(module, "hostile::answer", arguments(41), kCall);
    ASSERT_EQ(after.error(), std::nullopt) << misdeed.name << ": " << after.head.error->message;
    EXPECT_EQ(after.get<int>(), 42);
    bystander.expect_undisturbed();
  }
  EXPECT_EQ(tenants_processes(), before) << "no process was replaced";
}

TEST_F(GuestAttack, a_storm_of_traps_costs_no_process) {
  Bystander bystander(cluster());
  const auto [ue, module] = open(hostile_);
  ASSERT_TRUE(ue);
  const auto before = tenants_processes();
  for (int i = 0; i < 300; ++i) {
    const auto answer = ue->call(module, "hostile::divide", arguments(i, 0), kCall);
    ASSERT_EQ(answer.error(), Errc::trapped) << i << answer.head.error.value_or(Error{}).message;
  }
  EXPECT_EQ(ue->call(module, "hostile::answer", arguments(1), kCall).get<int>(), 2);
  bystander.expect_undisturbed();
  EXPECT_EQ(tenants_processes(), before);
}

TEST_F(GuestAttack, memory_and_tables_grow_to_their_bounds_and_no_further) {
  const std::string grow_memory = function("pages", R"((block (result i32)
      (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
      (i32.gt_u (memory.size) (i32.const 8192))))");  // more than 512 MiB
  const std::string grow_table =
      "(table $t 1 funcref)" + function("elements", R"((block (result i32)
      (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
      (i32.gt_u (table.size $t) (i32.const 20000))))");
  const auto file =
      pushed("grow", sealed(guest("", grow_memory + grow_table), "grow", {"pages", "elements"}));
  Bystander bystander(cluster());
  const auto [ue, module] = open(file);
  ASSERT_TRUE(ue);
  for (const char* const what : {"grow::pages", "grow::elements"}) {
    const auto answer = ue->call(module, what, arguments(), kCall);
    ASSERT_EQ(answer.error(), std::nullopt) << what << answer.head.error->message;
    EXPECT_EQ(answer.get<std::uint32_t>(), 0U) << what << " was given more than its bound";
  }
  bystander.expect_undisturbed();
}

TEST_F(GuestAttack, there_is_no_descriptor_to_be_found) {
  // What of 3 to 2000 answers anything but an error, as a count.
  const std::string imports = R"(
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $open
      (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32))))";
  const auto probe_all = [](const char* name, const std::string& call) {
    return function(name,
                    "(block (result i32) (local.set $i (i32.const 3)) "
                    "(loop (local.set $n (i32.add (local.get $n) (i32.eqz " +
                        call +
                        "))) (local.set $i (i32.add (local.get $i) (i32.const 1))) "
                        "(br_if 0 (i32.lt_u (local.get $i) (i32.const 2000)))) (local.get $n))");
  };
  const std::string functions =
      probe_all("stat", "(call $stat (local.get $i) (i32.const 256))") +
      probe_all("prestat", "(call $prestat (local.get $i) (i32.const 256))") +
      probe_all("read",
                "(call $read (local.get $i) (i32.const 512) (i32.const 0) (i32.const 256))") +
      probe_all("accept", "(call $accept (local.get $i) (i32.const 0) (i32.const 256))") +
      probe_all("open",
                "(call $open (local.get $i) (i32.const 1) (i32.const 600) (i32.const 1) "
                "(i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 256))") +
      probe_all("close", "(call $close (local.get $i))") + "(data (i32.const 600) \"/\")";
  const std::vector<std::string> names{"stat", "prestat", "read", "accept", "open", "close"};
  const auto file = pushed("descriptors", sealed(guest(imports, functions), "descriptors", names));
  const auto [ue, module] = open(file);
  ASSERT_TRUE(ue);
  for (const std::string& name : names) {
    const auto answer = ue->call(module, "descriptors::" + name, arguments(), kCall);
    ASSERT_EQ(answer.error(), std::nullopt) << name << answer.head.error->message;
    EXPECT_EQ(answer.get<std::uint32_t>(), 0U) << name;
  }
}

TEST_F(GuestAttack, a_pointer_that_leads_nowhere_is_refused_by_every_host_function) {
  std::vector<std::string> names;
  for (const HostCall& call : calls_with_bad_pointers()) names.push_back(call.name);
  const auto file = pushed("pointers", sealed(guest_with_bad_pointers(), "pointers", names));
  Bystander bystander(cluster());
  const auto [ue, module] = open(file);
  ASSERT_TRUE(ue);
  const auto before = tenants_processes();
  for (const HostCall& call : calls_with_bad_pointers()) {
    const auto answer = ue->call(module, "pointers::" + call.name, arguments(), kCall);
    if (answer.error()) {
      EXPECT_EQ(answer.error(), Errc::trapped) << call.name << answer.head.error->message;
    } else if (!call.harmless) {
      EXPECT_NE(answer.get<std::uint32_t>(), 0U) << call.name << " answered that all was well";
    }
  }
  bystander.expect_undisturbed();
  EXPECT_EQ(tenants_processes(), before);
}

TEST_F(GuestAttack, a_guest_that_lies_to_its_host_about_memory_is_caught) {
  // Its answers lie outside of its memory, in part, too many, or overlap the end.
  const std::string functions = R"(
    (func (export "far") (param i32 i32) (result i32) (i32.const -8))
    (func (export "many") (param i32 i32) (result i32)
      (i32.store (i32.const 2056) (i32.const -1)) (i32.const 2056))
    (func (export "long") (param i32 i32) (result i32)
      (i32.store (i32.const 2056) (i32.const 1)) (i32.store (i32.const 2060) (i32.const 2048))
      (i32.store (i32.const 2064) (i32.const -1)) (i32.const 2056))
    (func (export "over") (param i32 i32) (result i32)
      (i32.store (i32.const 2056) (i32.const 1)) (i32.store (i32.const 2060) (i32.const -1))
      (i32.store (i32.const 2064) (i32.const 2)) (i32.const 2056)))" +
                                function("well", "(i32.const 7)");
  const std::vector<std::string> names{"far", "many", "long", "over", "well"};
  const auto file = pushed("liar", sealed(guest("", functions), "liar", names));
  Bystander bystander(cluster());
  const auto [ue, module] = open(file);
  ASSERT_TRUE(ue);
  for (const char* const lie : {"far", "many", "long", "over"}) {
    const auto answer = ue->call(module, std::string("liar::") + lie, arguments(), kCall);
    EXPECT_EQ(answer.error(), Errc::protocol) << lie;
    EXPECT_EQ(ue->call(module, "liar::well", arguments(), kCall).get<std::uint32_t>(), 7U) << lie;
  }
  bystander.expect_undisturbed();
}

TEST_F(GuestAttack, ten_thousand_instances_are_a_few) {
  Bystander bystander(cluster());
  const auto ue = linked(evil_, {&hostile_});
  ASSERT_TRUE(ue);
  int opened = 0;
  std::optional<Error> refused;
  while (!refused && opened < 100) {
    const auto module = ue->open(
        hostile_, {}, [](function::OpenModule& request) { request.concurrency = 10'000; },
        kPatience);
    if (!module) {
      refused = module.error();
      break;
    }
    ++opened;
    EXPECT_LE(module->streams.size(), 8U);
  }
  ASSERT_TRUE(refused);
  EXPECT_LE(opened, 8);
  EXPECT_EQ(refused->code, Errc::overloaded) << refused->message;
  bystander.expect_undisturbed();
}

TEST_F(GuestAttack, a_network_that_never_ends_is_cancelled_at_its_deadline) {
  Bystander bystander(cluster());
  const auto [ue, module] = open(infer_, {{"model", inference::testing::endless_model()}});
  ASSERT_TRUE(ue);
  EXPECT_EQ(ue->call(module, "infer::run", arguments(1.0F), kShort).error(),
            Errc::deadline_exceeded);
  bystander.expect_undisturbed();
}

TEST_F(GuestAttack, a_network_that_cannot_be_cancelled_costs_its_tenants_process_and_no_others) {
  Bystander bystander(cluster());
  const auto before = tenants_processes();
  const auto [ue, module] = open(infer_, {{"model", inference::testing::stubborn_model()}});
  ASSERT_TRUE(ue);
  const auto answer = ue->call(module, "infer::run", arguments(1.0F), kShort);
  EXPECT_EQ(answer.error(), Errc::deadline_exceeded);
  bystander.expect_undisturbed();
  // The tenant is served by the next one.
  ASSERT_TRUE(ue->wait_down(kPatience));
  ASSERT_TRUE(ue->wait_up(kPatience)) << "with the secret that it had";
  const auto again =
      open_patiently(*ue, infer_, {{"model", inference::testing::doubling_model({1})}});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(ue->call(*again, "infer::run", arguments(4.0F), kCall).get<float>(), 8.0F);
  EXPECT_NE(tenants_processes(), before);
  bystander.expect_undisturbed();
}

TEST_F(GuestAttack, models_that_lie_are_refused_before_they_are_loaded) {
  Bystander bystander(cluster());
  const auto ue = linked(evil_, {&infer_});
  ASSERT_TRUE(ue);
  const auto refusal_of = [&](std::vector<std::byte> bytes, std::uint64_t said_size = 0) {
    const auto module =
        ue->open(infer_, {{"model", std::move(bytes), said_size}}, nullptr, kPatience);
    return module ? Errc{} : module.error().code;
  };
  using namespace inference::testing;
  EXPECT_EQ(refusal_of(doubling_model({7}), std::uint64_t{1} << 44U), Errc::refused);
  EXPECT_EQ(refusal_of(external_data_model()), Errc::refused) << "a file of the host's";
  auto cut = doubling_model({1});
  cut.resize(cut.size() - 5);
  EXPECT_EQ(refusal_of(cut), Errc::corrupt);
  EXPECT_EQ(refusal_of(std::vector<std::byte>(4096, std::byte{0xFF})), Errc::corrupt);
  const auto good = ue->open(infer_, {{"model", doubling_model({1})}}, nullptr, kPatience);
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(ue->call(*good, "infer::run", arguments(4.0F), kCall).get<float>(), 8.0F);
  bystander.expect_undisturbed();
}

}  // namespace
}  // namespace aloft::testing
