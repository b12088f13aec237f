// What aloft-cc knows about a type that crosses between places: whether it can, how its bytes look,
// how C++ says it.
//
// The closed list of types is that of aloft/codec.h. A type's signature is the part of its shape
// that both ends must agree on; it is the same text for host and guest exactly when the bytes mean
// the same, and is what the signature hash is made of:
//
//   bool char byte i8 .. u64 f32 f64 string image
//   list<T>         std::vector, std::span<const T>         optional<T>
//   array<T,N>      std::array                              map<K,V>   std::map, std::unordered_map
//   tuple<A,B>      std::tuple, std::pair                   enum demo::Colour:i8
//   struct demo::Detection{box:struct demo::Box{x:f32,y:f32},label:string}
//   nil             the result of a function without one
#pragma once

#include <expected>
#include <string>
#include <vector>

#include <clang-c/Index.h>

#include "compiler/diagnostics.h"

namespace aloft::compiler {

// An aggregate whose members the generated code must list.
struct Record {
  std::string spelling;              // as code at global scope says it, "::demo::Detection"
  std::vector<std::string> members;  // names, in order
};

struct Type {
  std::string signature;
  std::string spelling;  // as code at global scope says it, without const and reference
  bool is_view = false;  // points at memory of someone else (string_view, span), itself or within
  bool is_optional = false;
  bool is_unordered = false;    // its bytes have no one order (unordered_map), itself or within
  std::vector<Record> records;  // the aggregates in it, each once
  std::vector<std::string>
      headers;  // the files that declare what it names beside aloft and the standard library
};

// Why a type cannot cross: completes "parameter 'p' ...", e.g. "is a raw pointer ('float *')".
struct Refusal {
  std::string message;
  std::string remedy;
  std::vector<Note> notes;  // the way to what is wrong inside it
  bool is_within = false;   // the message is about a part of the type
};

// The model of `type`, which must be neither a reference nor const (the caller has dealt with
// those).
[[nodiscard]] std::expected<Type, Refusal> model_type(CXType type);

}  // namespace aloft::compiler
