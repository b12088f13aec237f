#include "libraries.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <numeric>
#include <utility>

#include <Eigen/Dense>

#include <checksum.h>
#include <fir.h>

namespace libraries {

namespace {

using Matrix = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
using Vector = Eigen::Map<const Eigen::VectorXd>;

std::vector<double> values_of(const Eigen::VectorXd& vector) {
  return {vector.data(), vector.data() + vector.size()};
}

template <class T, class Less>
class Heap {
 public:
  explicit Heap(std::vector<T> values, Less less) : values_(std::move(values)), less_(less) {
    std::ranges::make_heap(values_, less_);
  }
  [[nodiscard]] std::vector<T> sorted() && {
    std::ranges::sort_heap(values_, less_);
    return std::move(values_);
  }

 private:
  std::vector<T> values_;
  Less less_;
};

template <class T>
constexpr T biggest(std::initializer_list<T> values) {
  return std::max(values);
}

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1U ^ ((value & 1U) * 0xedb88320U);
    table[i] = value;
  }
  return table;
}
constexpr std::array kTable = make_table();
const char* const kNames[] = {"zero", "one", "two"};

}  // namespace

std::vector<double> solve(std::span<const double> matrix, std::span<const double> right) {
  const auto size = static_cast<Eigen::Index>(right.size());
  if (matrix.size() != right.size() * right.size()) return {};
  const Matrix a(matrix.data(), size, size);
  return values_of(a.colPivHouseholderQr().solve(Vector(right.data(), size)));
}

std::vector<double> spectrum(std::span<const double> matrix, std::uint32_t size) {
  if (matrix.size() != std::size_t{size} * size) return {};
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Matrix(matrix.data(), size, size));
  return values_of(solver.eigenvalues());
}

std::vector<std::int64_t> order(const std::vector<std::int64_t>& values) {
  std::vector<std::int64_t> sorted = Heap(values, std::ranges::greater{}).sorted();
  sorted.push_back(std::transform_reduce(values.begin(), values.end(), std::int64_t{0}, std::plus{},
                                         [](std::int64_t value) { return value % 97; }));
  sorted.push_back(biggest<std::int64_t>({3, static_cast<std::int64_t>(values.size()), 5}));
  return sorted;
}

std::vector<double> smooth(const std::vector<double>& signal) {
  return filters::fir(signal, {0.25, 0.5, 0.25});
}

std::uint32_t checked(std::span<const std::uint8_t> bytes) {
  return checksum(bytes.data(), bytes.size());
}

std::uint32_t crc(std::span<const std::uint8_t> bytes) {
  std::uint32_t value = 0xffffffffU;
  for (const std::uint8_t byte : bytes) value = value >> 8U ^ kTable[(value ^ byte) & 0xffU];
  return ~value;
}

std::string told(double value, std::int32_t number, const std::string& text) {
  std::array<char, 200> line{};
  std::snprintf(line.data(), line.size(), "%.17g|%08.3f|%e|%+d|%#x|%-6s|%s", value, value, value,
                number, static_cast<unsigned>(number), text.c_str(),
                kNames[static_cast<unsigned>(number) % std::size(kNames)]);
  std::printf("told %s\n", line.data());
  return line.data();
}

}  // namespace libraries
