#include "device/testing/demo_module.h"

#include <cctype>
#include <stdexcept>
#include <utility>

#include <aloft/detail/encoded_run.h>
#include <aloft/nn.h>
#include <aloft/offload.h>

namespace demo {
namespace {

using aloft::function::testing::AutomaticEdge;
using aloft::function::testing::Bytes;
using Int = std::int32_t;

constexpr std::string_view kHash =
    "0000000000000000000000000000000000000000000000000000000000000000";
extern const aloft::ModuleDescriptor kModule;
Int gate_here(Int a);
Int charge_here(Int a);

aloft::Result<Bytes> run_gate(void*, std::span<const std::byte> arguments) {
  return aloft::detail::run_encoded(&gate_here, arguments);
}

const aloft::FunctionDescriptor kFunctions[] = {
    {.module = &kModule,
     .index = 0,
     .qualified_name = "demo::add",
     .export_name = "add",
     .signature_hash = kHash},
    {.module = &kModule,
     .index = 1,
     .qualified_name = "demo::shout",
     .export_name = "shout",
     .signature_hash = kHash},
    {.module = &kModule,
     .index = 2,
     .qualified_name = "demo::twice",
     .export_name = "twice",
     .signature_hash = kHash},
    {.module = &kModule,
     .index = 3,
     .qualified_name = "demo::picky",
     .export_name = "picky",
     .signature_hash = kHash},
    {.module = &kModule,
     .index = 4,
     .qualified_name = "demo::gate",
     .export_name = "gate",
     .signature_hash = kHash,
     .run_encoded = &run_gate},
    {.module = &kModule,
     .index = 5,
     .qualified_name = "demo::infer",
     .export_name = "infer",
     .signature_hash = kHash},
    {.module = &kModule,
     .index = 6,
     .qualified_name = "demo::weigh",
     .export_name = "weigh",
     .signature_hash = kHash,
     .loss_between = &aloft::detail::loss_between<Int>},
    {.module = &kModule,
     .index = 7,
     .qualified_name = "demo::charge",
     .export_name = "charge",
     .signature_hash = kHash,
     .once = true},
};
constexpr std::string_view kGraphs[] = {"doubler"};
const aloft::ModuleDescriptor kModule{.name = "demo",
                                      .digest = "sha256:00",
                                      .functions = kFunctions,
                                      .graphs = kGraphs,
                                      .objects = {}};

constexpr aloft::nn::Graph kDoubler{"doubler"};

Int add_here(Int a, Int b) { return a + b; }

std::string shout_here(const std::string& text) {
  std::string loud = text;
  for (char& c : loud) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return loud;
}

Int twice_here(Int a) { return add(a, 0) + add_async(a, 0).get().value(); }

Int picky_here(Int a) {
  if (a < 0) aloft::abort_call("negative");
  if (a == 0) throw std::out_of_range("zero");
  return a;
}

Int gate_here(Int a) {
  during_gate();
  return a;
}

std::vector<float> infer_here(const std::vector<float>& numbers) {
  auto context = kDoubler.context();
  if (!context) aloft::abort_call(context.error().message);
  const std::uint32_t dims[] = {static_cast<std::uint32_t>(numbers.size())};
  const auto data = std::as_bytes(std::span(numbers));
  if (auto set = context->set_input(0, {aloft::nn::ElementType::f32, dims, data}); !set) {
    aloft::abort_call(set.error().message);
  }
  if (auto computed = context->compute(); !computed) aloft::abort_call(computed.error().message);
  std::vector<float> doubled(numbers.size());
  if (auto got = context->get_output(0, std::as_writable_bytes(std::span(doubled))); !got) {
    aloft::abort_call(got.error().message);
  }
  return doubled;
}

Int charge_here(Int a) { return charged_here += a; }

Int weigh_here(const aloft::Image& picture) { return static_cast<Int>(picture.pixels().size()); }

template <class T>
Bytes encode(const T& value) {
  aloft::codec::Writer writer;
  aloft::codec::write(writer, value);
  Bytes bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

template <class... P>
std::tuple<P...> decode(const Bytes& arguments) {
  aloft::codec::Reader reader(arguments);
  std::tuple<P...> values;
  if (!aloft::codec::read_arguments(reader, values))
    throw std::runtime_error(reader.error().message);
  return values;
}

}  // namespace

std::function<void()> during_gate = [] {};
std::atomic<Int> charged_here = 0;

Int add(Int a, Int b) { return aloft::detail::call<Int, Int, Int>(kFunctions[0], &add_here, a, b); }
aloft::Future<Int> add_async(Int a, Int b) {
  return aloft::detail::call_async<Int, Int, Int>(kFunctions[0], &add_here, a, b);
}
std::string shout(const std::string& text) {
  return aloft::detail::call<std::string, const std::string&>(kFunctions[1], &shout_here, text);
}
aloft::Future<std::string> shout_async(const std::string& text) {
  return aloft::detail::call_async<std::string, const std::string&>(kFunctions[1], &shout_here,
                                                                    text);
}
Int twice(Int a) { return aloft::detail::call<Int, Int>(kFunctions[2], &twice_here, a); }
Int picky(Int a) { return aloft::detail::call<Int, Int>(kFunctions[3], &picky_here, a); }
aloft::Future<Int> picky_async(Int a) {
  return aloft::detail::call_async<Int, Int>(kFunctions[3], &picky_here, a);
}
Int gate(Int a) { return aloft::detail::call<Int, Int>(kFunctions[4], &gate_here, a); }
aloft::Future<Int> gate_async(Int a) {
  return aloft::detail::call_async<Int, Int>(kFunctions[4], &gate_here, a);
}
std::vector<float> infer(const std::vector<float>& numbers) {
  return aloft::detail::call<std::vector<float>, const std::vector<float>&>(kFunctions[5],
                                                                            &infer_here, numbers);
}

Int weigh(const aloft::Image& picture) {
  return aloft::detail::call<Int, const aloft::Image&>(kFunctions[6], &weigh_here, picture);
}

Int charge(Int a) { return aloft::detail::call<Int, Int>(kFunctions[7], &charge_here, a); }
aloft::Future<Int> charge_async(Int a) {
  return aloft::detail::call_async<Int, Int>(kFunctions[7], &charge_here, a);
}

Registered::Registered() : registration_(kModule) {}

std::optional<AutomaticEdge::Answer> answer(const aloft::function::Call& call,
                                            const Bytes& arguments) {
  AutomaticEdge::Answer answer;
  answer.head.queue_us = 5;
  answer.head.run_us = 70;
  answer.head.inference_us = 60;
  if (call.digest_tensors) answer.head.tensor_digests = {"digest of the edge"};
  switch (call.function) {
    case 0: {
      const auto [a, b] = decode<Int, Int>(arguments);
      answer.body = encode(Int{a + b + 1000});
      return answer;
    }
    case 1:
      answer.body = encode(shout_here(std::get<0>(decode<std::string>(arguments))) + "!");
      return answer;
    case 3:
      answer.head.error = aloft::Error{aloft::Errc::trapped, "negative"};
      answer.head.trap_backtrace = "picky at demo.cc:12";
      return answer;
    case 4:
    case 7: return std::nullopt;
    case 6: {
      aloft::codec::Reader reader(arguments);
      std::tuple<aloft::Image> picture;  // seen where it was received
      if (!aloft::codec::read_arguments(reader, picture))
        throw std::runtime_error(reader.error().message);
      answer.body = encode(weigh_here(std::get<0>(picture)));
      return answer;
    }
    default:
      answer.head.error = aloft::Error{aloft::Errc::internal, "not in this edge"};
      return answer;
  }
}

}  // namespace demo
