// What benchmarks make of what they measured: quantiles, a line that says whether an aim is met, a
// file of figures; and how they end where they cannot measure. For programs of one thread or where
// the others do not matter any more: die() ends them at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <aloft/result.h>

namespace aloft::bench {

[[noreturn]] inline void die(const std::string& why) {
  std::fprintf(stderr, "error: %s\n", why.c_str());
  std::exit(1);
}

// What it has; where it is an error, the program's end.
template <class T>
T must(Result<T> result) {
  if (!result) die(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// The value that a part `q` (0 to 1) of them do not exceed; 0 of none.
[[nodiscard]] inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}
[[nodiscard]] inline double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

// For what has to be `aim` at most.
[[nodiscard]] inline const char* verdict(double value, double aim) {
  return value <= aim ? "met" : "not met";
}
inline void judge(const std::string& what, double value, const char* unit, double aim) {
  std::printf("%-66s %8.2f %-3s (<= %g)  %s\n", what.c_str(), value, unit, aim,
              verdict(value, aim));
}

// Nothing where no file is wanted. `json`: of nlohmann's, of either kind.
template <class Json>
void write_json(const std::filesystem::path& file, const Json& json) {
  if (file.empty()) return;
  std::ofstream out(file);
  out << json.dump(2) << '\n' << std::flush;
  if (!out) die("cannot write " + file.string());
}

}  // namespace aloft::bench
