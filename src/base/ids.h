// Names of things that are told apart by numbers: as hex digits, and made up at random.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace aloft {

// Two digits a byte, lower case.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);

// So many random bytes, as hex digits; of 16, nobody ever makes the same one again. Any thread.
[[nodiscard]] std::string random_hex(std::size_t bytes = 16);

}  // namespace aloft
