// A call whose arguments and result are bytes that somebody else encoded: to the runtime, one like
// any other.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "device/c_api/loaded_module.h"
#include <aloft/detail/elastic_call.h>
#include <aloft/detail/object_link.h>
#include <aloft/result.h>

namespace aloft::c_api {

// What is called, and what can run it here.
struct Target {
  const FunctionDescriptor* function = nullptr;
  Native native;                   // empty: nothing can
  const char* why_not = nullptr;   // static storage; where nothing can
  detail::CalledObject* object{};  // whose method it is; null: none
};

class BytesCall final : public detail::ElasticCall {
 public:
  // All are borrowed; an asynchronous call has a copy of the arguments to borrow.
  BytesCall(const Target& target, std::span<const std::byte> arguments)
      : ElasticCall(*target.function), target_(target), arguments_(arguments) {}

  [[nodiscard]] const detail::CalledObject* called_object() const override {
    return target_.object;
  }
  void encode(codec::Writer& writer) const override { writer.own_bytes(arguments_); }
  [[nodiscard]] Result<void> decode(std::span<const std::byte> bytes) override {
    result_.emplace(bytes.begin(), bytes.end());
    return {};
  }

  // Once, after its end.
  [[nodiscard]] Result<Bytes> take() {
    record_exception();
    if (record.error) return std::unexpected(*record.error);
    if (!result_) return fail(Errc::invalid_argument, "the result was taken before");
    return *std::exchange(result_, std::nullopt);
  }

 private:
  void call_native() override {
    if (!target_.native) throw CallFailed({Errc::refused, target_.why_not});
    auto answer = target_.native(arguments_);
    if (!answer) throw CallFailed(std::move(answer.error()));
    result_.emplace(*std::move(answer));
  }

  const Target& target_;
  const std::span<const std::byte> arguments_;
  std::optional<Bytes> result_;
};

}  // namespace aloft::c_api
