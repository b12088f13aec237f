// The one binding, from the inside: who binds, who uses it, and what this thread asked for.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <aloft/detail/binding.h>
#include <aloft/policy.h>

namespace aloft::function {

// From now on elastic calls go through `dispatcher`. Waits for the synchronous calls, and the
// starts of asynchronous ones, that go through the one bound before; calls made meanwhile run in
// place. Any thread but one in such a call.
void bind_dispatcher(detail::Dispatcher& dispatcher);
// Unbinds `dispatcher` if it is bound (null: whichever is), and waits likewise.
void unbind_dispatcher(const detail::Dispatcher* dispatcher);

class EndPlaces;
// Those of the dispatcher that is bound now; null: none.
[[nodiscard]] std::shared_ptr<EndPlaces> bound_end_places();

// What the innermost PlaceScope of this thread asks for.
[[nodiscard]] std::optional<Place> forced_place();

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
