// What the exports that aloft-cc writes into a guest are made of: read the arguments where the host
// put them, call the function, describe the result so that the host can send it out of this memory.
// docs/guest-abi.md is normative.
//
// Guests have one thread; nothing here is called concurrently. A reply lives until the host calls
// aloft_release(), and may outlive further calls. By then the host may have written other arguments
// into the buffer that the reply's were in: destroying a reply does not read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <aloft/codec.h>

namespace aloft::guest {

// A reply and everything that its segments point at: the bytes, the result, and the arguments,
// which the result may view.
class Reply {
 public:
  Reply() = default;
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  virtual ~Reply() = default;

  // The result descriptor, {u32 count; {u32 address; u32 size} segments[count]}, as the host reads
  // it. Owned by this reply; release() of it destroys this reply.
  [[nodiscard]] const std::uint32_t* describe(std::span<const std::span<const std::byte>> segments);

 private:
  std::vector<std::uint32_t> words_;  // this reply's address, then the descriptor
};

// Destroys the reply whose descriptor this is.
void release(const std::uint32_t* descriptor);

// Says on stderr why the arguments of a call were not understood.
void report_bad_arguments(std::string_view function, const Error& error);

// `R` is the result as a value: std::monostate of a function without one.
template <class R, class... P>
class ReplyOf final : public Reply {
 public:
  explicit ReplyOf(std::span<const std::byte> arguments) : reader_(arguments) {}

  // Null after a report when the arguments are not what the function takes.
  template <class Call>
  [[nodiscard]] const std::uint32_t* call(std::string_view name, const Call& function) {
    if (!codec::read_arguments(reader_, arguments_)) {
      report_bad_arguments(name, reader_.error());
      return nullptr;
    }
    std::apply(
        [&](auto&... argument) {
          if constexpr (std::is_void_v<decltype(function(static_cast<P&&>(argument)...))>) {
            function(static_cast<P&&>(argument)...);
            result_.emplace();
          } else {
            result_.emplace(function(static_cast<P&&>(argument)...));
          }
        },
        arguments_);
    codec::write(writer_, *result_);
    return describe(writer_.segments());
  }

 private:
  codec::Reader reader_;
  std::tuple<std::remove_cvref_t<P>...> arguments_;
  std::optional<std::remove_cv_t<R>> result_;
  codec::Writer writer_;
};

// What a call of `function` with arguments P... on these bytes answers; see call().
template <class R, class... P, class Call>
[[nodiscard]] const std::uint32_t* answer(std::string_view name, const Call& function,
                                          const std::byte* arguments, std::uint32_t size) {
  using Value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;
  auto reply = std::make_unique<ReplyOf<Value, P...>>(std::span(arguments, size));
  const std::uint32_t* descriptor = reply->call(name, function);
  if (descriptor != nullptr) (void)reply.release();  // the host's, until it calls aloft_release()
  return descriptor;
}

// The body of an export: `arguments` is where the host put `size` bytes, in a buffer of
// aloft_buffer(), which it leaves unchanged until it releases the reply. Answers the descriptor, or
// null when the bytes are no arguments of `function`.
template <class R, class... P>
[[nodiscard]] const std::uint32_t* call(std::string_view name, R (*function)(P...),
                                        const std::byte* arguments, std::uint32_t size) {
  return answer<R, P...>(name, function, arguments, size);
}

}  // namespace aloft::guest
