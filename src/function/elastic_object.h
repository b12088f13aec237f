// What the runtime keeps for one elastic object (detail::ObjectLink): its elastic end, as long as
// there is a runtime to have it in.
//
// The object itself stays where it is in memory. While its end is here, its state is in it; while
// the end is elsewhere, the object is a vessel that a later move or the runtime's end fills again.
// An object outlives runtimes: each has an end of its own, closed when the runtime ends.
#pragma once

#include <memory>
#include <mutex>

#include "function/elastic_calls.h"
#include "function/elastic_end.h"
#include <aloft/detail/elastic_call.h>
#include <aloft/detail/object_link.h>
#include <aloft/place.h>
#include <aloft/result.h>

namespace aloft::detail {

// Thread rule: any thread.
class ElasticObject {
 public:
  explicit ElasticObject(const CalledObject& called);
  // Waits for what runs on the object.
  ~ElasticObject();
  ElasticObject(const ElasticObject&) = delete;
  ElasticObject& operator=(const ElasticObject&) = delete;

  // As function::ElasticCalls; in place where the runtime has ended.
  void run(ElasticCall& call, const function::EndCallTerms& terms = {});
  void start(ElasticCall& call, const function::EndCallTerms& terms = {});
  static void cancel(ElasticCall& call) { function::ElasticCalls::cancel(call); }

  // The end in this runtime. Errors: cancelled (it ends).
  [[nodiscard]] Result<std::shared_ptr<function::ElasticEnd>> end_in(function::EndPlaces& places);

 private:
  [[nodiscard]] std::shared_ptr<function::ElasticEnd> end();

  const ObjectClass& class_;
  const std::unique_ptr<NativeObject> native_;
  std::mutex mutex_;
  std::shared_ptr<function::ElasticEnd> end_;
};

}  // namespace aloft::detail

namespace aloft::function {

// The object that this is about, with its end in this runtime. The call is one of a method.
[[nodiscard]] detail::ElasticObject& elastic_object_of(EndPlaces& places,
                                                       const detail::CalledObject& called);
[[nodiscard]] detail::ElasticObject& elastic_object_of(EndPlaces& places,
                                                       const detail::ElasticCall& call);

}  // namespace aloft::function
