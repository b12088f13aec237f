#include "temp_dir.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>

#include <stdlib.h>

namespace aloft::testing {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "test support: %s\n", what.c_str());
  std::abort();
}

}  // namespace

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "aloft-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) give_up("cannot make a folder like " + name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;  // what is left in the system's temporary folder harms nobody
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::byte> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = in.tellg();
  if (!in || size < 0) give_up("cannot read " + file.string());
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  in.seekg(0).read(reinterpret_cast<char*>(bytes.data()), size);
  if (!in) give_up("cannot read " + file.string());
  return bytes;
}

void write_file(const std::filesystem::path& file, std::span<const std::byte> bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) give_up("cannot write " + file.string());
}

}  // namespace aloft::testing
