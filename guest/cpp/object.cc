// The exports that make an instance's object, and save and load its state: docs/guest-abi.md.

#include <aloft_guest/object.h>
#include <aloft_guest/stderr.h>

namespace aloft::guest {

namespace {

constinit const ObjectRegistration* first_class = nullptr;

// What the instance has, from aloft_object_make() on. Never destroyed: an instance just ends.
struct Current {
  const ObjectRegistration* of = nullptr;
  Object* object = nullptr;
};
constinit Current current;

// A state as a reply. What is large is described where it lies in the object.
class StateReply final : public Reply {
 public:
  [[nodiscard]] const std::uint32_t* save(const Object& object) {
    object.save(writer_);
    return describe(writer_.segments());
  }

 private:
  codec::Writer writer_;
};

}  // namespace

ObjectRegistration::ObjectRegistration(std::uint32_t index, const char* name, Make make)
    : index_(index), name_(name), make_(make), next_(std::exchange(first_class, this)) {}

const ObjectRegistration* ObjectRegistration::find(std::uint32_t index) {
  const ObjectRegistration* at = first_class;
  while (at != nullptr && at->index_ != index) at = at->next_;
  return at;
}

Object* current_object() { return current.object; }

void report_no_object(std::string_view method) {
  const std::string_view parts[] = {"aloft: there is no object for a call of ", method, "\n"};
  write_error(parts);
}

}  // namespace aloft::guest

extern "C" {

[[clang::export_name("aloft_object_make")]] std::uint32_t aloft_object_make(std::uint32_t index) {
  using namespace aloft::guest;
  const ObjectRegistration* const found = ObjectRegistration::find(index);
  if (found == nullptr) return 0;
  delete std::exchange(current.object, nullptr);
  current = {found, found->make().release()};
  return 1;
}

[[clang::export_name("aloft_state_save")]] const std::uint32_t* aloft_state_save() {
  using namespace aloft::guest;
  if (current.object == nullptr) return nullptr;
  auto reply = std::make_unique<StateReply>();
  const std::uint32_t* const descriptor = reply->save(*current.object);
  (void)reply.release();  // the host's, until it calls aloft_release()
  return descriptor;
}

[[clang::export_name("aloft_state_load")]] std::uint32_t aloft_state_load(const std::byte* state,
                                                                          std::uint32_t size) {
  using namespace aloft::guest;
  if (current.object == nullptr) return 0;
  aloft::codec::Reader reader(std::span(state, size), aloft::codec::Views::own);
  if (current.object->load(reader)) return 1;
  const aloft::Error error = reader.error();
  const std::string_view parts[] = {"aloft: this is no state of ", current.of->name(), ": ",
                                    error.message, "\n"};
  write_error(parts);
  return 0;
}

}  // extern "C"
