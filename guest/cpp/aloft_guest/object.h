// The one elastic object of an instance: what the exports of methods run on, and whose state is
// saved and loaded. docs/guest-abi.md is normative.
//
// The module's classes register themselves when it is initialised; the host makes the object of one
// of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <aloft_guest/export.h>

#include <aloft/codec.h>
#include <aloft/object.h>

namespace aloft::guest {

// Its address tells classes apart.
template <class T>
inline constexpr char kClassOf = 0;

class Object {
 public:
  explicit Object(const char* of) : class_(of) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  [[nodiscard]] const char* of() const { return class_; }
  // Its fields, borrowing what is large.
  virtual void save(codec::Writer& writer) const = 0;
  // False, with the reader's error, when that is no state of it; it is unchanged then.
  [[nodiscard]] virtual bool load(codec::Reader& reader) = 0;

 private:
  const char* class_;
};

template <class T>
class ObjectOf final : public Object {
 public:
  ObjectOf() : Object(&kClassOf<T>) {}

  [[nodiscard]] T& get() { return object_; }
  void save(codec::Writer& writer) const override {
    std::apply([&](const auto&... field) { codec::write_arguments(writer, field...); },
               detail::ObjectAccess::state(object_));
  }
  [[nodiscard]] bool load(codec::Reader& reader) override {
    auto fields = detail::ObjectAccess::state(object_);
    auto values = values_of(fields);
    if (!codec::read_arguments(reader, values)) return false;
    fields = std::move(values);
    return true;
  }

 private:
  template <class... Field>
  static std::tuple<Field...> values_of(const std::tuple<Field&...>& /*fields*/) {
    return {};
  }

  T object_{};
};

// A class of the module; in static storage.
class ObjectRegistration {
 public:
  using Make = std::unique_ptr<Object> (*)();
  ObjectRegistration(std::uint32_t index, const char* name, Make make);
  ObjectRegistration(const ObjectRegistration&) = delete;
  ObjectRegistration& operator=(const ObjectRegistration&) = delete;

  // The class with this index, or null.
  [[nodiscard]] static const ObjectRegistration* find(std::uint32_t index);
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::unique_ptr<Object> make() const { return make_(); }

 private:
  std::uint32_t index_;
  const char* name_;
  Make make_;
  const ObjectRegistration* next_;
};

template <class T>
[[nodiscard]] std::unique_ptr<Object> make_object() {
  return std::make_unique<ObjectOf<T>>();
}

// The instance's object; null before the host made one.
[[nodiscard]] Object* current_object();
// Says on stderr that there is none whose method this is.
void report_no_object(std::string_view method);

// The body of a method's export; `Method` is a pointer to member of T. Null, too, without an object
// of T.
template <class T, class R, class... P, class Method>
[[nodiscard]] const std::uint32_t* call_method(std::string_view name, Method method,
                                               const std::byte* arguments, std::uint32_t size) {
  Object* const object = current_object();
  if (object == nullptr || object->of() != &kClassOf<T>) {
    report_no_object(name);
    return nullptr;
  }
  T& receiver = static_cast<ObjectOf<T>*>(object)->get();
  return answer<R, P...>(
      name, [&](P... argument) -> R { return (receiver.*method)(static_cast<P&&>(argument)...); },
      arguments, size);
}

}  // namespace aloft::guest
