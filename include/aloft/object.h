// An elastic object: a class whose methods run where the object's state is, here or at an edge, and
// whose state moves between two calls.
//
//   class ALOFT_OFFLOAD_OBJECT Tracker {
//    public:
//     ALOFT_OFFLOAD std::vector<Track> update(const std::vector<Detection>& detections);
//     ALOFT_OFFLOAD std::size_t count() const;
//
//    private:
//     std::vector<Track> tracks_;
//     std::uint64_t next_ = 1;
//     ALOFT_STATE(tracks_, next_)
//   };
//
// Without aloft-cc the tags mean nothing. With aloft_add_module() every call of a tagged method
// runs at the object's place, in the order of the calls. A tagged method depends on the object's
// state and on its arguments alone: after the loss of a place, the calls since the last copy of the
// state are run again on that copy. The asynchronous form of `update` is a function beside the
// class, in NAME.aloft.h: `aloft::Future<std::vector<Track>> update_async(Tracker&, const
// std::vector<Detection>&)`.
//
// Until an object's calls have ended, nothing but tagged methods may touch its fields; untagged
// methods see the state that was here last. An object is neither copied nor moved in memory, and
// its end waits for its calls.
#pragma once

#include <tuple>
#include <type_traits>

#include <aloft/offload.h>
#include <aloft/place.h>
#include <aloft/result.h>

#if defined(__wasm__)

namespace aloft::detail {

// In a guest, nothing belongs to an object but its state.
class ObjectLink {
 public:
  ObjectLink() = default;
  ObjectLink(const ObjectLink&) = delete;
  ObjectLink& operator=(const ObjectLink&) = delete;
};

}  // namespace aloft::detail

#else
#include <aloft/detail/object_call.h>
#endif

#if defined(__clang__)
#define ALOFT_OFFLOAD_OBJECT [[clang::annotate("aloft::offload_object")]]
#else
#define ALOFT_OFFLOAD_OBJECT
#endif

// Declares the state of an elastic object: all its fields, in the order in which they are encoded.
// Stands in the class, behind its fields: what runs on the object ends before they do.
#define ALOFT_STATE(...)                                    \
  friend struct ::aloft::detail::ObjectAccess;              \
  mutable ::aloft::detail::ObjectLink aloft_link_;          \
  static const ::aloft::detail::ObjectClass& aloft_class(); \
  auto aloft_state() { return ::std::tie(__VA_ARGS__); }    \
  auto aloft_state() const { return ::std::tie(__VA_ARGS__); }

namespace aloft {
namespace detail {

struct ObjectClass;

// The one way into what ALOFT_STATE declares.
struct ObjectAccess {
  // A tuple of references to the fields.
  template <class T>
  [[nodiscard]] static auto state(T& object) {
    return object.aloft_state();
  }
#if !defined(__wasm__)
  template <class T>
  [[nodiscard]] static CalledObject called(T& object) {
    using Object = std::remove_const_t<T>;
    return {&object.aloft_link_, &Object::aloft_class(), const_cast<Object*>(&object)};
  }
#endif
};

#if !defined(__wasm__)
[[nodiscard]] Result<MoveReport> move_object(const CalledObject& object, Location to);
#endif

}  // namespace detail

#if !defined(__wasm__)
// Moves the object, and waits until it runs there. Calls go on meanwhile, from any thread. Errors:
// refused (a move of it is under way, or no runtime is bound), unreachable (that place is down, or
// was lost meanwhile), and what kept the new place from taking the object; it is then where it was.
template <class T>
[[nodiscard]] Result<MoveReport> move_to(T& object, Location to) {
  return detail::move_object(detail::ObjectAccess::called(object), to);
}
#endif

}  // namespace aloft
