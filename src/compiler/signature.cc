#include "compiler/signature.h"

namespace aloft::compiler {

std::string canonical_signature(std::string_view qualified_name, const Type& result,
                                std::span<const Parameter> parameters) {
  std::string text(qualified_name);
  text += "(";
  for (const Parameter& parameter : parameters) {
    if (&parameter != parameters.data()) text += ",";
    text += parameter.type.signature;
  }
  return text + ")->" + result.signature;
}

std::string export_name(std::string_view name, std::string_view signature_hash) {
  return std::string("aloft_fn_").append(name).append("_").append(signature_hash.substr(0, 8));
}

}  // namespace aloft::compiler
