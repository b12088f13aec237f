#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <aloft/offload.h>

namespace libraries {

// Eigen: the solution of a system of linear equations, by QR with column pivoting.
ALOFT_OFFLOAD std::vector<double> solve(std::span<const double> matrix,
                                        std::span<const double> right);
// Eigen: the eigenvalues of a symmetric matrix, rising.
ALOFT_OFFLOAD std::vector<double> spectrum(std::span<const double> matrix, std::uint32_t size);

// Templates inside: instances of one's own, and of the library's algorithms.
ALOFT_OFFLOAD std::vector<std::int64_t> order(const std::vector<std::int64_t>& values);

// A library that was rebuilt for the guest, in C++ and in C.
ALOFT_OFFLOAD std::vector<double> smooth(const std::vector<double>& signal);
ALOFT_OFFLOAD std::uint32_t checked(std::span<const std::uint8_t> bytes);

// Tables that are const.
ALOFT_OFFLOAD std::uint32_t crc(std::span<const std::uint8_t> bytes);

// printf, to text and to the log.
ALOFT_OFFLOAD std::string told(double value, std::int32_t number, const std::string& text);

}  // namespace libraries
