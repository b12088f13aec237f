// A call of an elastic object's method, and the object without its type: what aloft-cc generates is
// made of these.
//
// The call is an ElasticCall like any other; called_object() says whose it is. Thread rules are
// those of elastic_call.h and object_link.h.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <aloft/codec.h>
#include <aloft/detail/binding.h>
#include <aloft/detail/elastic_call.h>
#include <aloft/detail/encoded_run.h>
#include <aloft/detail/object_link.h>
#include <aloft/dispatch.h>
#include <aloft/result.h>

namespace aloft::detail {

struct ObjectAccess;  // aloft/object.h

// `Access` is ObjectAccess, by a name that the templates here can wait for.
template <class T, class Access = ObjectAccess>
class NativeObjectOf final : public NativeObject {
 public:
  explicit NativeObjectOf(T& object) : object_(object) {}
  explicit NativeObjectOf(std::unique_ptr<T> own) : own_(std::move(own)), object_(*own_) {}

  void save(codec::Writer& writer) const override {
    std::apply([&](const auto&... field) { codec::write_arguments(writer, field...); },
               Access::state(std::as_const(object_)));
  }
  [[nodiscard]] Result<void> load(std::span<const std::byte> state) override {
    auto fields = Access::state(object_);
    auto values = values_of(fields);
    codec::Reader reader(state, codec::Views::own);
    if (!codec::read_arguments(reader, values)) return std::unexpected(reader.error());
    fields = std::move(values);
    return {};
  }
  [[nodiscard]] void* object() override { return &object_; }

  // For ObjectClass::native.
  [[nodiscard]] static std::unique_ptr<NativeObject> make(void* object) {
    if (object == nullptr) return std::make_unique<NativeObjectOf>(std::make_unique<T>());
    return std::make_unique<NativeObjectOf>(*static_cast<T*>(object));
  }

 private:
  template <class... Field>
  static std::tuple<Field...> values_of(const std::tuple<Field&...>& /*fields*/) {
    return {};
  }

  std::unique_ptr<T> own_;
  T& object_;
};

// `Object` is T or const T; `R` is the method's own result type.
template <class Object, class R, class Method, class... P>
class ObjectCallOf final : public CallFor<ResultValue<R>> {
  static_assert((!std::is_rvalue_reference_v<P> && ...),
                "an elastic method takes no rvalue references");

 public:
  ObjectCallOf(const FunctionDescriptor& function, const CalledObject& called, Object& object,
               Method method, P&&... arguments)
      : CallFor<ResultValue<R>>(function),
        called_(called),
        object_(object),
        method_(method),
        arguments_(std::forward<P>(arguments)...) {}

  [[nodiscard]] const CalledObject* called_object() const override { return &called_; }
  void encode(codec::Writer& writer) const override {
    std::apply([&](const auto&... argument) { codec::write_arguments(writer, argument...); },
               arguments_);
  }

 private:
  void call_native() override {
    const InPlace scope;
    this->result_.emplace(call_for_value([&] {
      return std::apply(
          [&](auto&... argument) { return (object_.*method_)(std::forward<P>(argument)...); },
          arguments_);
    }));
  }

  CalledObject called_;
  Object& object_;
  Method method_;
  std::tuple<P...> arguments_;
};

// What a tagged method does when its call is for the dispatcher to decide.
template <class R, class... P, class Object, class Method, class Access = ObjectAccess>
R call_method(const FunctionDescriptor& function, Object& object, Method method, P... arguments) {
  ObjectCallOf<Object, R, Method, P...> call(function, Access::called(object), object, method,
                                             std::forward<P>(arguments)...);
  run(call);
  if constexpr (std::is_void_v<R>) {
    (void)call.take_or_throw();
  } else {
    return call.take_or_throw();
  }
}

template <class R, class... P, class Object, class Method, class Access = ObjectAccess>
Future<ResultValue<R>> call_method_async(const FunctionDescriptor& function, Object& object,
                                         Method method, P... arguments) {
  auto call = std::make_unique<ObjectCallOf<Object, R, Method, P...>>(
      function, Access::called(object), object, method, std::forward<P>(arguments)...);
  start(*call);
  return Future<ResultValue<R>>(std::move(call));
}

}  // namespace aloft::detail
