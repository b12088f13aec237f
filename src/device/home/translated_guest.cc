#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "device/home/home_services.h"
#include "device/home/translated_instance.h"
#include "inference/graph_table.h"
#include <aloft/detail/translated_guest.h>

namespace aloft::detail {
namespace {

using device::TranslatedInstance;
using runtime::CallFailure;
using runtime::CallResult;
using runtime::Reply;

using Segments = std::span<const std::span<const std::byte>>;

// As an edge's, unless its operator says otherwise (runtime::InstanceLimits).
constexpr device::GuestLimits kLimits{.memory_bytes = std::uint64_t{256} << 20,
                                      .table_elements = 20'000};
// Instances that wait for a call are kept up to this number, and up to one's largest memory
// together.
constexpr std::size_t kMaxIdle = 8;
constexpr std::uint64_t kMaxIdleBytes = kLimits.memory_bytes;

std::uint64_t size_of(Segments segments) {
  std::uint64_t size = 0;
  for (const auto segment : segments) size += segment.size();
  return size;
}

std::unexpected<CallFailure> failed(Errc code, std::string message) {
  return std::unexpected<CallFailure>(Error{code, std::move(message)});
}

// An instance with what it needs beside it.
class Worker {
 public:
  [[nodiscard]] static CallResult<std::unique_ptr<Worker>> make(
      const aloft_translated_module& module,
      std::span<const runtime::HostDefinition* const> imports, std::string_view function) {
    auto made = std::make_unique<Worker>();
    made->services_.begin(function);
    auto instance = TranslatedInstance::create(module, imports, kLimits, made->services_);
    if (!instance) return std::unexpected(std::move(instance.error()));
    made->instance_ = *std::move(instance);
    return made;
  }

  // Whether it can serve a call of this thread: the models that it has are those of the call.
  [[nodiscard]] bool fits() const {
    const inference::GraphScope* const scope = inference::GraphScope::current();
    return std::ranges::all_of(instance_->nn.graphs_by_name, [&](const auto& known) {
      return scope != nullptr &&
             scope->table().find(known.first) == instance_->nn.graphs[known.second];
    });
  }
  // False after a call that ended in the guest's midst, or that was given up.
  [[nodiscard]] bool usable() const {
    return instance_->usable() && !instance_->stop.stop_requested();
  }

  [[nodiscard]] std::uint64_t memory_bytes() const { return instance_->linear_memory().size(); }

  // Runs the function; with a state, on an object of the class `object` with that state. `after`
  // gets the object's state afterwards; null: nobody wants it.
  [[nodiscard]] CallResult<std::vector<std::byte>> call(const FunctionDescriptor& function,
                                                        Segments arguments,
                                                        std::optional<Segments> state,
                                                        std::vector<std::byte>* after) {
    services_.begin(function.qualified_name);
    std::optional<std::stop_callback<RequestStop>> given_up;
    if (const auto* const scope = inference::GraphScope::current(); scope != nullptr)
      given_up.emplace(scope->stop(), RequestStop{&instance_->stop});
    if (state) {
      if (auto loaded = load(function.object->index, *state); !loaded)
        return std::unexpected(std::move(loaded.error()));
    }
    auto size = put_arguments(arguments);
    if (!size) return std::unexpected(std::move(size.error()));
    const auto descriptor = instance_->invoke(function.export_name, {buffer_, *size});
    if (!descriptor) return std::unexpected(descriptor.error());
    if (*descriptor == 0) {
      return failed(
          Errc::protocol,
          "the guest cannot decode its arguments: were they encoded for another signature?");
    }
    auto result = take(*descriptor);
    if (!result || after == nullptr) return result;
    const auto saved = instance_->invoke("aloft_state_save", {});
    if (!saved) return std::unexpected(saved.error());
    if (*saved == 0) return failed(Errc::refused, "the guest has no object to save");
    auto bytes = take(*saved);
    if (!bytes) return bytes;
    *after = *std::move(bytes);
    return result;
  }

  // As the caller of a call is told.
  [[nodiscard]] Error explain(const CallFailure& failure) const {
    Error error = runtime::to_error(failure);
    if ((error.code == Errc::trapped || error.code == Errc::protocol) &&
        !services_.last_words().empty())
      error.message = services_.last_words();
    return error;
  }

 private:
  struct RequestStop {
    std::stop_source* source;
    void operator()() const { source->request_stop(); }
  };

  [[nodiscard]] CallResult<void> copy(Segments segments, std::uint32_t address) {
    // The buffer was made this large, but the guest may have said anything since.
    const auto bytes = instance_->slice(address, size_of(segments));
    if (!bytes) return failed(Errc::protocol, "the guest answered a buffer outside its memory");
    std::byte* to = bytes->data();
    for (const auto segment : segments) {
      std::memcpy(to, segment.data(), segment.size());
      to += segment.size();
    }
    return {};
  }

  // Into the buffer that is kept from call to call; their size.
  [[nodiscard]] CallResult<std::uint32_t> put_arguments(Segments arguments) {
    const std::uint64_t size = size_of(arguments);
    if (size > capacity_ || buffer_ == 0) {
      if (buffer_ != 0) {
        const auto freed = instance_->invoke("aloft_free_buffer", {std::exchange(buffer_, 0)});
        if (!freed) return std::unexpected(freed.error());
      }
      capacity_ = std::max<std::uint64_t>(size, kLeastBuffer);
      const auto address = instance_->make_buffer(capacity_);
      if (!address) return address;
      buffer_ = *address;
    }
    if (auto copied = copy(arguments, buffer_); !copied)
      return std::unexpected(std::move(copied.error()));
    return static_cast<std::uint32_t>(size);
  }

  [[nodiscard]] CallResult<void> load(std::uint32_t object, Segments state) {
    const auto made = instance_->invoke("aloft_object_make", {object});
    if (!made) return std::unexpected(made.error());
    if (*made != 1)
      return failed(Errc::not_found,
                    "the guest has no class with the index " + std::to_string(object));
    const std::uint64_t size = size_of(state);
    const auto address = instance_->make_buffer(size);
    if (!address) return std::unexpected(address.error());
    if (auto copied = copy(state, *address); !copied) return copied;
    const auto loaded =
        instance_->invoke("aloft_state_load", {*address, static_cast<std::uint32_t>(size)});
    if (!loaded) return std::unexpected(loaded.error());
    const auto freed = instance_->invoke("aloft_free_buffer", {*address});
    if (!freed) return std::unexpected(freed.error());
    if (*loaded != 1) return failed(Errc::protocol, "the guest cannot decode the object's state");
    return {};
  }

  // What a descriptor says, copied; and releases it.
  [[nodiscard]] CallResult<std::vector<std::byte>> take(std::uint32_t descriptor) {
    const CallResult<Reply> reply = instance_->read_reply(descriptor);
    if (!reply) return std::unexpected(reply.error());
    // Segments may be the same memory many times: together they are no more than it can be.
    const std::uint64_t size = size_of(reply->segments);
    if (size > kLimits.memory_bytes)
      return failed(Errc::resource_exhausted, "the guest's result is larger than its memory");
    std::vector<std::byte> bytes;
    bytes.reserve(static_cast<std::size_t>(size));
    for (const auto segment : reply->segments)
      bytes.insert(bytes.end(), segment.begin(), segment.end());
    if (const auto released = instance_->invoke("aloft_release", {descriptor}); !released)
      return std::unexpected(released.error());
    return bytes;
  }

  static constexpr std::uint64_t kLeastBuffer = 4096;

  device::HomeServices services_;
  std::unique_ptr<TranslatedInstance> instance_;  // uses the services
  std::uint32_t buffer_ = 0;                      // for arguments; 0: none yet
  std::uint64_t capacity_ = 0;
};

}  // namespace

struct TranslatedGuest::Impl {
  explicit Impl(const aloft_translated_module& of) : module(of) {
    module.prepare();
    imports = device::resolve_imports(module);
  }

  [[nodiscard]] Result<std::vector<std::byte>> call(const FunctionDescriptor& function,
                                                    Segments arguments,
                                                    std::optional<Segments> state,
                                                    std::vector<std::byte>* after) {
    if (!imports) return std::unexpected(imports.error());
    std::unique_ptr<Worker> worker = idle_one();
    if (worker == nullptr) {
      auto made = Worker::make(module, *imports, function.qualified_name);
      if (!made) return std::unexpected(runtime::to_error(made.error()));
      worker = *std::move(made);
    }
    auto result = worker->call(function, arguments, state, after);
    Result<std::vector<std::byte>> answer;
    if (result)
      answer = *std::move(result);
    else
      answer = std::unexpected(worker->explain(result.error()));
    // One that only could not decode what it got goes on to serve.
    if (worker->usable()) keep(std::move(worker));
    return answer;
  }

  [[nodiscard]] std::unique_ptr<Worker> idle_one() {
    std::unique_ptr<Worker> worker;
    {
      const std::lock_guard lock(mutex);
      if (idle.empty()) return nullptr;
      worker = std::move(idle.back());
      idle.pop_back();
    }
    return worker->fits() ? std::move(worker) : nullptr;
  }

  // One that is not kept stays its owner's, who drops it without the lock.
  void keep(std::unique_ptr<Worker>&& worker) {
    const std::lock_guard lock(mutex);
    std::uint64_t bytes = worker->memory_bytes();
    for (const auto& other : idle) bytes += other->memory_bytes();
    if (idle.size() < kMaxIdle && bytes <= kMaxIdleBytes) idle.push_back(std::move(worker));
  }

  const aloft_translated_module& module;
  Result<std::vector<const runtime::HostDefinition*>> imports;
  std::mutex mutex;
  std::vector<std::unique_ptr<Worker>> idle;
};

TranslatedGuest::TranslatedGuest(const aloft_translated_module& module)
    : impl_(std::make_unique<Impl>(module)) {}
TranslatedGuest::~TranslatedGuest() = default;

Result<std::vector<std::byte>> TranslatedGuest::call(const FunctionDescriptor& function,
                                                     Segments arguments) {
  return impl_->call(function, arguments, std::nullopt, nullptr);
}

Result<std::vector<std::byte>> TranslatedGuest::call_method(const FunctionDescriptor& function,
                                                            NativeObject& object,
                                                            Segments arguments, After after) {
  codec::Writer state;
  object.save(state);
  if (!state.ok())
    return fail(Errc::resource_exhausted, "the object's state is too long to be encoded");
  std::vector<std::byte> changed;
  auto result = impl_->call(function, arguments, state.segments(),
                            after == After::state_is_taken ? &changed : nullptr);
  if (result && after == After::state_is_taken) {
    if (auto loaded = object.load(changed); !loaded) return std::unexpected(loaded.error());
  }
  return result;
}

}  // namespace aloft::detail
