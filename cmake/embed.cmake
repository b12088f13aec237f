# cmake -DOUT=FILE.cc -DNAMESPACE=a::b -DFILES=name=path;... -P embed.cmake
#
# Writes files as arrays of a C++ source, so that a program carries what it serves: `extern const std::string_view NAME` in
# the namespace, for each.

set(text "// Made by cmake/embed.cmake.\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n")
foreach(entry IN LISTS FILES)
  string(REGEX MATCH "^([a-z_]+)=(.+)$" _ "${entry}")
  set(name ${CMAKE_MATCH_1})
  file(READ "${CMAKE_MATCH_2}" bytes HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
  string(APPEND text
    "static constexpr char ${name}_bytes[] = {${bytes}'\\0'};\n"
    "extern const std::string_view ${name};\n"
    "const std::string_view ${name}(${name}_bytes, sizeof ${name}_bytes - 1);\n")
endforeach()
string(APPEND text "}  // namespace ${NAMESPACE}\n")
file(WRITE "${OUT}" "${text}")
