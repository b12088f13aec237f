#include "compiler/signature.h"

namespace aloft::compiler {

std::string canonical_signature(const Function& function) {
  std::string text = function.qualified_name + "(";
  for (const Parameter& parameter : function.parameters) {
    if (&parameter != function.parameters.data()) text += ",";
    text += parameter.type.signature;
  }
  text += function.method && function.method->is_const ? ")const->" : ")->";
  return text + function.result.signature;
}

std::string state_signature(const Class& of) {
  std::string text = "struct " + of.qualified_name + "{";
  for (const Field& field : of.state) {
    if (&field != of.state.data()) text += ",";
    text += field.name + ":" + field.type.signature;
  }
  return text + "}";
}

std::string export_name(std::string_view name, std::string_view signature_hash) {
  return std::string("aloft_fn_").append(name).append("_").append(signature_hash.substr(0, 8));
}

std::string plain_export_name(std::string_view qualified_name) {
  std::string plain;
  for (std::size_t at = 0; at < qualified_name.size(); ++at) {
    if (qualified_name.substr(at).starts_with("::")) {
      plain.push_back('_');
      ++at;
    } else {
      plain.push_back(qualified_name[at]);
    }
  }
  return plain;
}

}  // namespace aloft::compiler
