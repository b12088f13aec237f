// Between the code that aloft-cc generates for a class tagged ALOFT_OFFLOAD_OBJECT, and the
// runtime: the object without its type, and what is kept in it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <aloft/codec.h>
#include <aloft/result.h>

namespace aloft {
struct ModuleDescriptor;
}

namespace aloft::detail {

class NativeObject;

// One tagged class of a module, as compiled into the program. Static storage.
struct ObjectClass {
  const ModuleDescriptor* module = nullptr;
  std::string_view qualified_name;  // "detect::Tracker"
  std::uint32_t index = 0;          // in ModuleDescriptor::objects, and in the guest
  // SHA-256 of the state's field types: states of one hash can be taken over. 64 hex digits.
  std::string_view state_hash;
  // `object`, of this class, without its type; it must outlive what is made. Null: an object of its
  // own, as the class's default constructor makes it.
  std::unique_ptr<NativeObject> (*native)(void* object) = nullptr;
};

// The object in this process. Thread rule: one thread at a time, which the runtime sees to.
class NativeObject {
 public:
  virtual ~NativeObject() = default;
  // The declared state, in its canonical encoding (the codec's, as a tuple of the fields).
  virtual void save(codec::Writer& writer) const = 0;
  // Errors: protocol. The object is unchanged then.
  [[nodiscard]] virtual Result<void> load(std::span<const std::byte> state) = 0;
  // What FunctionDescriptor::run_encoded takes for a method of it.
  [[nodiscard]] virtual void* object() = 0;
};

class ElasticObject;  // src/function/elastic_object.h
struct EndElasticObject {
  void operator()(ElasticObject* object) const;  // waits for its calls, brings the state home
};

// A member of each such class (ALOFT_STATE puts it there): what the runtime keeps for the object,
// from the first call that is dispatched. An elastic object has an identity: it is neither copied
// nor moved in memory.
class ObjectLink {
 public:
  ObjectLink() = default;
  ObjectLink(const ObjectLink&) = delete;
  ObjectLink& operator=(const ObjectLink&) = delete;

  // Null before the first.
  [[nodiscard]] ElasticObject* get() const { return object_.load(std::memory_order_acquire); }
  // Keeps `made` unless another thread came first; answers the one that is kept.
  ElasticObject& keep(std::unique_ptr<ElasticObject, EndElasticObject> made) {
    ElasticObject* expected = nullptr;
    if (object_.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel))
      return *made.release();
    return *expected;
  }
  ~ObjectLink() {
    if (ElasticObject* const object = get()) EndElasticObject{}(object);
  }

 private:
  std::atomic<ElasticObject*> object_ = nullptr;
};

// The object that a method's call is made on, or that is to be moved.
struct CalledObject {
  ObjectLink* link = nullptr;
  const ObjectClass* object_class = nullptr;
  void* object = nullptr;

  [[nodiscard]] std::unique_ptr<NativeObject> native() const {
    return object_class->native(object);
  }
};

}  // namespace aloft::detail
