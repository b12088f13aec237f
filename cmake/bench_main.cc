// The main function of the benchmarks that use Google Benchmark: `--json FILE` is understood by
// every benchmark of this repository, and stands for two flags of that library.
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

int main(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 0; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      words.push_back("--benchmark_out=" + std::string(argv[++i]));
      words.push_back("--benchmark_out_format=json");
    } else {
      words.push_back(argv[i]);
    }
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());

  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
