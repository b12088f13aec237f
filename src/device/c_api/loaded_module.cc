#include "device/c_api/loaded_module.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/digest.h"
#include <aloft/codec.h>
#include <aloft/detail/encoded_run.h>

namespace aloft::c_api {
namespace {

// Larger files are no modules of this device's.
constexpr std::size_t kMostBytes = std::size_t{256} << 20U;

Result<Bytes> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return fail(Errc::not_found, "there is no module file " + path);
  const auto size = static_cast<std::size_t>(std::max<std::streamoff>(file.tellg(), 0));
  if (size > kMostBytes) return fail(Errc::corrupt, path + " is too large for a module");
  Bytes bytes(size);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file) return fail(Errc::not_found, "the module file " + path + " cannot be read");
  return bytes;
}

class NativeVessel final : public detail::NativeObject {
 public:
  explicit NativeVessel(Vessel& vessel) : vessel_(vessel) {}
  explicit NativeVessel(std::unique_ptr<Vessel> own) : own_(std::move(own)), vessel_(*own_) {}

  void save(codec::Writer& writer) const override { writer.own_bytes(*vessel_.state()); }
  // The edge that it comes from has checked it.
  [[nodiscard]] Result<void> load(std::span<const std::byte> state) override {
    vessel_.keep(Bytes(state.begin(), state.end()));
    return {};
  }
  [[nodiscard]] void* object() override { return &vessel_; }

 private:
  std::unique_ptr<Vessel> own_;
  Vessel& vessel_;
};

// A function's EncodedRun: `native` is its context.
Result<Bytes> run_native(void* native, std::span<const std::byte> arguments) {
  const detail::InPlace in_place;
  return (*static_cast<const Native*>(native))(arguments);
}

std::unique_ptr<detail::NativeObject> make_vessel(void* object) {
  if (object == nullptr) return std::make_unique<NativeVessel>(std::make_unique<Vessel>(Bytes()));
  return std::make_unique<NativeVessel>(*static_cast<Vessel*>(object));
}

}  // namespace

LoadedModule::LoadedModule(runtime::Manifest manifest, std::string digest)
    : manifest_(std::move(manifest)),
      digest_(std::move(digest)),
      graphs_(manifest_.graphs.begin(), manifest_.graphs.end()) {
  classes_.reserve(manifest_.objects.size());
  for (const auto& object : manifest_.objects) {
    classes_.push_back({.module = &descriptor_,
                        .qualified_name = object.name,
                        .index = static_cast<std::uint32_t>(classes_.size()),
                        .state_hash = object.state_hash,
                        .native = &make_vessel});
  }
  functions_.reserve(manifest_.functions.size());
  for (const auto& function : manifest_.functions) {
    const auto index = static_cast<std::uint32_t>(functions_.size());
    functions_.push_back(
        {.module = &descriptor_,
         .index = index,
         .qualified_name = function.name,
         .export_name = function.export_name,
         .signature_hash = function.signature_hash,
         .object = function.object ? &classes_[*function.object] : nullptr,
         .once = function.once,
         // No function's address: it stands for the descriptor, which nothing else has.
         .identity = {reinterpret_cast<std::uintptr_t>(&descriptor_) + index, 1}});
  }
  descriptor_ = {.name = manifest_.module,
                 .digest = digest_,
                 .functions = functions_,
                 .graphs = graphs_,
                 .objects = classes_};
}

Result<std::shared_ptr<LoadedModule>> LoadedModule::read(const std::string& file) {
  const auto bytes = read_file(file);
  if (!bytes) return std::unexpected(bytes.error());
  auto manifest = runtime::read_manifest(*bytes);
  if (!manifest) return fail(manifest.error().code, file + ": " + manifest.error().message);
  if (!*manifest) {
    return fail(Errc::invalid_argument,
                file +
                    " has no manifest: build it with aloft_add_module(), or seal it with "
                    "`aloft-cc seal`");
  }
  return std::shared_ptr<LoadedModule>(
      new LoadedModule(**std::move(manifest), "sha256:" + sha256(*bytes).hex()));
}

const detail::ObjectClass* LoadedModule::find_class(std::string_view name) const {
  const auto found = std::ranges::find(classes_, name, &detail::ObjectClass::qualified_name);
  return found == classes_.end() ? nullptr : &*found;
}

Result<void> LoadedModule::set_native(std::string_view function, Native native) {
  const auto found = std::ranges::find(functions_, function, &FunctionDescriptor::qualified_name);
  if (found == functions_.end()) {
    return fail(Errc::invalid_argument, "the module '" + manifest_.module + "' has no function '" +
                                            std::string(function) + "'");
  }
  if (found->object != nullptr) {
    return fail(Errc::invalid_argument,
                "'" + std::string(function) + "' is a method: it runs at edges only");
  }
  natives_.insert_or_assign(std::string(function), std::move(native));
  return {};
}

void LoadedModule::use_natives() {
  in_use_ = natives_;
  for (auto& [name, native] : in_use_) {
    const auto found = std::ranges::find(functions_, name, &FunctionDescriptor::qualified_name);
    found->run_encoded = &run_native;
    found->context = &native;
  }
}

}  // namespace aloft::c_api
