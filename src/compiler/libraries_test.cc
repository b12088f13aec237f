// Functions that use what programs use: Eigen, templates, a static library, tables, printf. The
// guest, run as an edge runs it, gives the bits that the native build gives.

#include "libraries.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/testing/fixture.h"
#include "test_paths.h"
#include <aloft/codec.h>

namespace aloft::compiler {
namespace {

using Bytes = std::vector<std::byte>;

class Libraries : public runtime::testing::RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    std::ifstream in(testing::binary_dir() / "modules/compiler_libraries.wasm", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto bytes = std::as_bytes(std::span(text));
    auto module = engine_->load({bytes.begin(), bytes.end()});
    ASSERT_TRUE(module.has_value()) << module.error().message;
    module_ = *module;
    instance_ = instantiate(module_);
    ASSERT_NE(instance_, nullptr);
  }

  // Calls the guest's, and compares with the native result, bit for bit.
  template <class R, class... P>
  void expect_same(const std::string& name, const R& native, const P&... arguments) {
    std::string export_name;
    for (const auto& function : module_->manifest()->functions) {
      if (function.name == "libraries::" + name) export_name = function.export_name;
    }
    const Bytes encoded =
        bytes_of([&](codec::Writer& writer) { codec::write_arguments(writer, arguments...); });
    auto buffer = instance_->make_buffer(static_cast<std::uint32_t>(encoded.size()),
                                         runtime::testing::soon());
    ASSERT_TRUE(buffer) << runtime::testing::text_of(buffer.error());
    std::ranges::copy(encoded, buffer->bytes.begin());
    auto reply =
        instance_->call(export_name, buffer->address, static_cast<std::uint32_t>(encoded.size()),
                        runtime::testing::soon());
    ASSERT_TRUE(reply) << runtime::testing::text_of(reply.error());
    Bytes guest;
    for (const auto segment : reply->segments)
      guest.insert(guest.end(), segment.begin(), segment.end());
    EXPECT_EQ(guest, bytes_of([&](codec::Writer& writer) { codec::write(writer, native); }))
        << name;
    ASSERT_TRUE(instance_->release(reply->descriptor, runtime::testing::soon()));
  }

  template <class Write>
  static Bytes bytes_of(const Write& write) {
    codec::Writer writer;
    write(writer);
    Bytes bytes;
    for (const auto segment : writer.segments())
      bytes.insert(bytes.end(), segment.begin(), segment.end());
    return bytes;
  }

  std::vector<double> numbers(std::size_t count) {
    std::normal_distribution<double> draw;
    std::vector<double> all(count);
    for (double& each : all) each = draw(random_);
    return all;
  }

  std::mt19937 random_{7};
  std::shared_ptr<const runtime::Module> module_;
  std::unique_ptr<runtime::Instance> instance_;
};

TEST_F(Libraries, eigen_solves_systems_of_equations_to_the_same_bits) {
  for (const std::size_t size : {1U, 3U, 8U, 25U}) {
    const std::vector<double> matrix = numbers(size * size);
    const std::vector<double> right = numbers(size);
    const std::vector<double> solution = libraries::solve(matrix, right);
    ASSERT_EQ(solution.size(), size);
    double error = 0;
    for (std::size_t i = 0; i < size; ++i) {
      double sum = -right[i];
      for (std::size_t k = 0; k < size; ++k) sum += matrix[i * size + k] * solution[k];
      error = std::max(error, std::abs(sum));
    }
    EXPECT_LT(error, 1e-9) << "it is no solution";
    expect_same("solve", solution, std::span<const double>(matrix), std::span<const double>(right));
  }
}

TEST_F(Libraries, eigen_finds_eigenvalues_to_the_same_bits) {
  constexpr std::uint32_t kSize = 12;
  const std::vector<double> half = numbers(std::size_t{kSize} * kSize);
  std::vector<double> matrix(half.size());
  for (std::size_t i = 0; i < kSize; ++i) {
    for (std::size_t k = 0; k < kSize; ++k)
      matrix[i * kSize + k] = half[i * kSize + k] + half[k * kSize + i];
  }
  const std::vector<double> spectrum = libraries::spectrum(matrix, kSize);
  EXPECT_TRUE(std::ranges::is_sorted(spectrum));
  expect_same("spectrum", spectrum, std::span<const double>(matrix), kSize);
}

TEST_F(Libraries, templates_are_instantiated_in_the_guest) {
  std::vector<std::int64_t> values(200);
  for (std::int64_t& each : values) each = static_cast<std::int64_t>(random_()) - (1LL << 31);
  expect_same("order", libraries::order(values), values);
}

TEST_F(Libraries, a_static_library_is_rebuilt_for_the_guest) {
  const std::vector<double> signal = numbers(333);
  expect_same("smooth", libraries::smooth(signal), signal);
  std::vector<std::uint8_t> bytes(5000);
  for (std::uint8_t& each : bytes) each = static_cast<std::uint8_t>(random_());
  expect_same("checked", libraries::checked(bytes), std::span<const std::uint8_t>(bytes));
}

TEST_F(Libraries, tables_that_are_const_lie_in_the_guest) {
  const std::string text = "123456789";
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  EXPECT_EQ(libraries::crc(bytes), 0xcbf43926U);
  expect_same("crc", libraries::crc(bytes), std::span<const std::uint8_t>(bytes));
}

TEST_F(Libraries, printf_writes_the_same_text) {
  for (const double value : {0.1, -3.25, 1e300, 5e-324, 123456.789}) {
    for (const std::int32_t number : {0, 1, -70000}) {
      const std::string text = "ab";
      expect_same("told", libraries::told(value, number, text), value, number, text);
    }
  }
}

}  // namespace
}  // namespace aloft::compiler
