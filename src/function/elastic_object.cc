#include "function/elastic_object.h"

#include <utility>

#include "function/binding.h"
#include <aloft/object.h>

namespace aloft::detail {

void EndElasticObject::operator()(ElasticObject* object) const { delete object; }

ElasticObject::ElasticObject(const CalledObject& called)
    : class_(*called.object_class), native_(called.native()) {}

ElasticObject::~ElasticObject() {
  if (const auto end = this->end()) end->close({Errc::cancelled, "the object was destroyed"});
}

std::shared_ptr<function::ElasticEnd> ElasticObject::end() {
  const std::lock_guard lock(mutex_);
  return end_;
}

Result<std::shared_ptr<function::ElasticEnd>> ElasticObject::end_in(function::EndPlaces& places) {
  const std::lock_guard lock(mutex_);
  if (end_ != nullptr && &end_->places() == &places) {
    if (!end_->is_closed()) return end_;
    return fail(Errc::cancelled, "the runtime ended");
  }
  if (end_ != nullptr && !end_->is_closed()) {
    // Another runtime's, which is not bound any more.
    end_->come_home();
    end_->close({Errc::cancelled, "another runtime was bound"});
  }
  channel::FixedEndOptions options;
  options.has_state = true;
  auto made = places.open({.module = class_.module,
                           .object_class = &class_,
                           .object = native_.get(),
                           .name = class_.qualified_name,
                           .options = options,
                           .priority = channel::kNormal});
  if (made) end_ = *made;
  return made;
}

void ElasticObject::run(ElasticCall& call, const function::EndCallTerms& terms) {
  const auto end = this->end();
  if (end == nullptr || end->is_closed()) return call.run_native();
  function::ElasticCalls(end).run(call, terms);
}

void ElasticObject::start(ElasticCall& call, const function::EndCallTerms& terms) {
  const auto end = this->end();
  if (end != nullptr) return function::ElasticCalls(end).start(call, terms);
  call.set_error({Errc::cancelled, "the runtime ended"});
  call.completion().finish();
}

Result<MoveReport> move_object(const CalledObject& object, Location to) {
  const auto places = function::bound_end_places();
  if (places == nullptr) return fail(Errc::refused, "no runtime is bound");
  auto end = function::elastic_object_of(*places, object).end_in(*places);
  if (!end) return std::unexpected(std::move(end.error()));
  return (*end)->move(to);
}

}  // namespace aloft::detail

namespace aloft::function {

detail::ElasticObject& elastic_object_of(EndPlaces& places, const detail::CalledObject& called) {
  detail::ElasticObject* object = called.link->get();
  if (object == nullptr) {
    object = &called.link->keep(std::unique_ptr<detail::ElasticObject, detail::EndElasticObject>(
        new detail::ElasticObject(called)));
  }
  (void)object->end_in(places);  // calls are plain where that fails
  return *object;
}

detail::ElasticObject& elastic_object_of(EndPlaces& places, const detail::ElasticCall& call) {
  return elastic_object_of(places, *call.called_object());
}

}  // namespace aloft::function
