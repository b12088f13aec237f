#include "test_paths.h"

namespace aloft::testing {

std::filesystem::path source_dir() { return ALOFT_SOURCE_DIR; }

std::filesystem::path binary_dir() { return ALOFT_BINARY_DIR; }

std::filesystem::path video() { return source_dir() / "build" / "deps" / "video" / "vtest.avi"; }

std::filesystem::path servers() { return source_dir() / "build" / "deps" / "servers"; }

}  // namespace aloft::testing
