// A guest's way to say something: a line on stderr, which its host forwards to the caller's log.
#pragma once

#include <span>
#include <string_view>

namespace aloft::guest {

// Writes up to six parts at once, so that a line is not torn. Without printf, which would make up
// most of a small module.
void write_error(std::span<const std::string_view> parts);

}  // namespace aloft::guest
