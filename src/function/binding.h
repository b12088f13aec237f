// The one binding, from the inside: who binds, who uses it, and what this thread asked for.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include <aloft/detail/binding.h>
#include <aloft/place.h>

namespace aloft::function {

// From now on elastic calls go through `dispatcher`. Waits for the synchronous calls, and the
// starts of asynchronous ones, that go through the one bound before; calls made meanwhile run in
// place. Any thread but one in such a call.
void bind_dispatcher(detail::Dispatcher& dispatcher);
// Unbinds `dispatcher` if it is bound (null: whichever is), and waits likewise.
void unbind_dispatcher(const detail::Dispatcher* dispatcher);

// What the innermost PlaceScope of this thread asks for.
[[nodiscard]] std::optional<Location> forced_location();
inline constexpr Location kAnyEdge = Location::edge(0xfffffffe);  // PlaceScope(Place::edge)
// What the innermost DeadlineScope of this thread says.
[[nodiscard]] std::optional<std::chrono::nanoseconds> scope_deadline();

class EndPlaces;
// Those of the dispatcher that is bound now; null: none.
[[nodiscard]] std::shared_ptr<EndPlaces> bound_end_places();

// While it lives, elastic calls of this thread are plain calls: around every native run of a tagged
// body.
class InPlaceScope {
 public:
  InPlaceScope() : outer_(detail::in_place) { detail::in_place = true; }
  ~InPlaceScope() { detail::in_place = outer_; }
  InPlaceScope(const InPlaceScope&) = delete;
  InPlaceScope& operator=(const InPlaceScope&) = delete;

 private:
  const bool outer_;
};

// The modules that are part of this program now, in the order they were registered.
[[nodiscard]] std::vector<const ModuleDescriptor*> registered_modules();

}  // namespace aloft::function
