// What it costs to infer in another process, and what batches bring: the engine in this process
// against aloft-infer, as it really runs, with shared memory between.
//
// Clients are threads, each with an inference under way at a time; at aloft-infer each is a tenant
// of its own, whose rows may meet (the model is vouched for). Two tables:
//
//   batches   one client that puts 1, 2, 4, 8, 16 rows into each inference itself; and whether a
//             row has the same bits then
//   clients   1, 2, 4, 8 clients with one row each: in this process, at aloft-infer without
//             batches, and with
//
// Rounds alternate between the sides, and what counts is the median of the rounds' ratios. With
// --inference-device cuda all of it is on the GPU.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "figures.h"
#include "host/control/infer_process.h"
#include "inference/engine.h"
#include "inference/remote/remote_engine.h"
#include "inference/tensor.h"
#include "inference/testing/onnx_writer.h"

namespace {

using namespace aloft;
using bench::die;
using bench::median;
using bench::must;
using Clock = std::chrono::steady_clock;
namespace onnx = inference::testing;
using Json = nlohmann::ordered_json;

struct Options {
  std::filesystem::path model;
  std::string device = "cpu";
  std::filesystem::path libraries;
  int slots = 0;
  int rounds = 5;
  int milliseconds = 400;
  std::vector<int> batches{1, 2, 4, 8, 16};
  std::vector<int> clients{1, 2, 4, 8};
  std::string json;
};

// Three convolutions over a picture, with weights of random numbers and an open batch: about 40
// million multiplications a row.
std::vector<std::byte> network() {
  std::mt19937 random(1);
  std::normal_distribution<float> values(0.0F, 0.1F);
  const auto weights = [&](std::string_view name, const onnx::Dims& dims) {
    std::size_t count = 1;
    for (const auto dim : dims) count *= static_cast<std::size_t>(dim);
    std::vector<float> numbers(count);
    for (float& number : numbers) number = values(random);
    return onnx::tensor(name, onnx::OnnxType::f32, dims, numbers);
  };
  const auto conv = [](std::string_view in, std::string_view weight, std::string_view out) {
    return onnx::Node{.op = "Conv",
                      .inputs = {in, weight},
                      .outputs = {out},
                      .attributes = {onnx::ints_attribute("kernel_shape", {3, 3}),
                                     onnx::ints_attribute("pads", {1, 1, 1, 1}),
                                     onnx::ints_attribute("strides", {2, 2})}};
  };
  return onnx::model(onnx::graph("network",
                                 {conv("x", "w1", "a"),
                                  {.op = "Relu", .inputs = {"a"}, .outputs = {"b"}},
                                  conv("b", "w2", "c"),
                                  {.op = "Relu", .inputs = {"c"}, .outputs = {"d"}},
                                  conv("d", "w3", "e"),
                                  {.op = "GlobalAveragePool", .inputs = {"e"}, .outputs = {"y"}}},
                                 {onnx::value_info("x", onnx::OnnxType::f32, {-1, 3, 256, 256})},
                                 {onnx::value_info("y", onnx::OnnxType::f32, {-1, 64, 1, 1})},
                                 {weights("w1", {16, 3, 3, 3}), weights("w2", {32, 16, 3, 3}),
                                  weights("w3", {64, 32, 3, 3})}));
}

std::vector<std::byte> read_model(const std::filesystem::path& path) {
  if (path.empty()) return network();
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.empty()) die("no model " + path.string());
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

// One thread's inferences of `rows` rows.
class Caller {
 public:
  Caller(inference::Graph& graph, std::uint32_t rows, unsigned seed)
      : execution_(must(graph.make_execution())) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> values(0.0F, 1.0F);
    std::uint32_t index = 0;
    for (const auto& info : graph.inputs()) {
      auto& dims = dims_.emplace_back(info.dims);
      for (std::uint32_t& dim : dims) dim = std::max(dim, 1U);
      if (info.dims[0] == 0) dims[0] = rows;
      auto& data = data_.emplace_back(*inference::byte_size(info.type, dims));
      for (std::size_t at = 0; info.type == nn::ElementType::f32 && at < data.size(); at += 4) {
        const float value = values(random);
        std::memcpy(&data[at], &value, sizeof value);
      }
      set(index++, info.type);
    }
  }
  void set_rows(std::size_t input, nn::ElementType type, std::vector<std::byte> data,
                std::uint32_t rows) {
    data_[input] = std::move(data);
    dims_[input][0] = rows;
    set(static_cast<std::uint32_t>(input), type);
  }
  void run() {
    if (auto computed = inference::compute_and_wait(*execution_, Clock::time_point::max());
        !computed)
      die(computed.error().message);
  }
  [[nodiscard]] std::span<const std::byte> output() const {
    return must(execution_->output(0)).data;
  }
  [[nodiscard]] const std::vector<std::byte>& input(std::size_t index) const {
    return data_[index];
  }

 private:
  void set(std::uint32_t index, nn::ElementType type) {
    if (auto done = execution_->set_input(index, {type, dims_[index], data_[index]}); !done)
      die(done.error().message);
  }
  std::unique_ptr<inference::Execution> execution_;
  std::vector<std::vector<std::uint32_t>> dims_;
  std::vector<std::vector<std::byte>> data_;
};

// Inferences a second of all callers together.
double rate(const std::vector<std::unique_ptr<Caller>>& callers, int milliseconds) {
  std::atomic<bool> over = false;
  std::atomic<int> count = 0;
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (const auto& caller : callers) {
      threads.emplace_back([&] {
        while (!over) {
          caller->run();
          ++count;
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    over = true;
  }
  return count / std::chrono::duration<double>(Clock::now() - start).count();
}

// aloft-infer, and an engine at it for each client.
class Remote {
 public:
  enum class Batches { no, yes };
  Remote(const Options& options, const std::vector<std::byte>& model, int clients,
         Batches batches) {
    root_ = std::filesystem::temp_directory_path() /
            ("aloft-bench-infer-" + std::to_string(::getpid()));
    std::filesystem::create_directories(root_);
    host::InferProcessOptions process{
        .program = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() /
                   "bin/aloft-infer",
        .setup = {}};
    process.setup.root = root_;
    process.setup.need = host::Need::what_there_is;
    process.setup.device = options.device;
    process.setup.libraries = options.libraries;
    process.setup.slots = options.slots;
    process.setup.batching = batches == Batches::yes ? "any-bits" : "off";
    process.setup.batch_rows = 16;
    process.setup.vouched = {"sha256:" + sha256(model).hex()};
    process_ = must(host::InferProcess::start(std::move(process)));
    for (int i = 0; i < clients; ++i) {
      auto& engine = engines_.emplace_back(std::make_unique<inference::RemoteEngine>(
          inference::RemoteEngineOptions{.description = process_->engine_for(1)}));
      engine->connect(must(process_->connect({.share = {.tenant = "client" + std::to_string(i)},
                                              .memory_bytes = std::uint64_t{4} << 30U,
                                              .model_bytes = std::uint64_t{4} << 30U,
                                              .gpus = 1})));
      graphs_.push_back(must(engine->load_onnx(model)));
    }
  }
  ~Remote() {
    graphs_.clear();
    engines_.clear();
    process_.reset();
    std::error_code ignored;
    std::filesystem::remove(root_, ignored);
  }
  inference::Graph& graph(int client) { return *graphs_[static_cast<std::size_t>(client)]; }
  [[nodiscard]] std::string description() const { return engines_[0]->description(); }

 private:
  std::filesystem::path root_;
  std::unique_ptr<host::InferProcess> process_;
  std::vector<std::unique_ptr<inference::RemoteEngine>> engines_;
  std::vector<std::shared_ptr<inference::Graph>> graphs_;
};

struct Side {
  std::string name;
  std::vector<std::unique_ptr<Caller>> callers;
  std::vector<double> rates;
};

// Rounds of all sides in turn; the first side is what the others are compared with.
Json measure(std::vector<Side>& sides, const Options& options) {
  for (Side& side : sides) (void)rate(side.callers, options.milliseconds / 4);
  for (int round = 0; round < options.rounds; ++round) {
    for (Side& side : sides) side.rates.push_back(rate(side.callers, options.milliseconds));
  }
  Json row;
  for (const Side& side : sides) row[side.name + "_per_second"] = median(side.rates);
  for (std::size_t i = 1; i < sides.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t k = 0; k < sides[i].rates.size(); ++k)
      ratios.push_back(sides[i].rates[k] / sides[0].rates[k]);
    row[sides[i].name + "_over_" + sides[0].name] = median(ratios);
  }
  return row;
}

// Whether each row of a batch has the bits that it has alone.
bool same_bits(inference::Graph& graph, int rows) {
  Caller together(graph, static_cast<std::uint32_t>(rows), 7);
  together.run();
  const auto all = together.output();
  for (int row = 0; row < rows; ++row) {
    Caller alone(graph, 1, 0);
    for (std::size_t k = 0; k < graph.inputs().size(); ++k) {
      const auto& data = together.input(k);
      const std::size_t size = data.size() / static_cast<std::size_t>(rows);
      const auto begin = data.begin() + static_cast<std::ptrdiff_t>(size) * row;
      alone.set_rows(k, graph.inputs()[k].type, {begin, begin + static_cast<std::ptrdiff_t>(size)},
                     1);
    }
    alone.run();
    const auto output = alone.output();
    if (!std::ranges::equal(
            output, all.subspan(output.size() * static_cast<std::size_t>(row), output.size())))
      return false;
  }
  return true;
}

std::vector<std::unique_ptr<Caller>> callers(const std::function<inference::Graph&(int)>& graph,
                                             int clients, int rows) {
  std::vector<std::unique_ptr<Caller>> made;
  for (int i = 0; i < clients; ++i)
    made.push_back(std::make_unique<Caller>(graph(i), static_cast<std::uint32_t>(rows),
                                            static_cast<unsigned>(i)));
  return made;
}

Json batches(const Options& options, inference::Graph& here, Remote& remote) {
  Json rows = Json::array();
  std::printf("%8s %14s %14s %8s  %s\n", "rows", "in process /s", "aloft-infer /s", "ratio",
              "same bits");
  for (const int size : options.batches) {
    std::vector<Side> sides(2);
    sides[0] = {"in_process", callers([&](int) -> auto& { return here; }, 1, size), {}};
    sides[1] = {"infer", callers([&](int) -> auto& { return remote.graph(0); }, 1, size), {}};
    Json row = measure(sides, options);
    row["rows"] = size;
    row["same_bits"] = same_bits(here, size);
    std::printf("%8d %14.1f %14.1f %8.2f  %s\n", size, row["in_process_per_second"].get<double>(),
                row["infer_per_second"].get<double>(), row["infer_over_in_process"].get<double>(),
                row["same_bits"].get<bool>() ? "yes" : "no");
    std::fflush(stdout);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json clients(const Options& options, inference::Graph& here, Remote& apart, Remote* together) {
  Json rows = Json::array();
  std::printf("\n%8s %14s %14s %8s %14s %8s\n", "clients", "in process /s", "aloft-infer /s",
              "ratio", "batched /s", "ratio");
  for (const int count : options.clients) {
    std::vector<Side> sides(2);
    sides[0] = {"in_process", callers([&](int) -> auto& { return here; }, count, 1), {}};
    sides[1] = {"infer", callers([&](int i) -> auto& { return apart.graph(i); }, count, 1), {}};
    if (together != nullptr)
      sides.push_back(
          {"batched", callers([&](int i) -> auto& { return together->graph(i); }, count, 1), {}});
    Json row = measure(sides, options);
    row["clients"] = count;
    std::printf("%8d %14.1f %14.1f %8.2f", count, row["in_process_per_second"].get<double>(),
                row["infer_per_second"].get<double>(), row["infer_over_in_process"].get<double>());
    if (together != nullptr)
      std::printf(" %14.1f %8.2f", row["batched_per_second"].get<double>(),
                  row["batched_over_in_process"].get<double>());
    std::printf("\n");
    std::fflush(stdout);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Inference in this process against aloft-infer, and batches"};
  app.add_option("--model", options.model, "ONNX file (default: a small network, open batch)");
  app.add_option("--inference-device", options.device, "cpu, cuda or auto")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}));
  app.add_option("--inference-libraries", options.libraries, "of a GPU build of ONNX Runtime");
  app.add_option("--slots", options.slots, "inferences at a time (default: the processors)");
  app.add_option("--rounds", options.rounds, "of each cell")->check(CLI::Range(1, 1000));
  app.add_option("--ms", options.milliseconds, "of one round")->check(CLI::Range(10, 600'000));
  app.add_option("--batches", options.batches, "rows of an inference")->delimiter(',');
  app.add_option("--clients", options.clients, "at a time")->delimiter(',');
  app.add_option("--json", options.json, "file for the figures");
  CLI11_PARSE(app, argc, argv);
  if (options.slots == 0)
    options.slots = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));

  const auto model = read_model(options.model);
  const int most_clients = std::ranges::max(options.clients);
  // Before an accelerator is started here: a process that has one must not fork.
  Remote apart(options, model, most_clients, Remote::Batches::no);
  Remote together(options, model, most_clients, Remote::Batches::yes);
  const auto engine =
      must(inference::make_engine({.threads = 1,
                                   .concurrency = options.slots,
                                   .device = must(inference::parse_device(options.device)),
                                   .libraries = options.libraries}));
  const auto here = must(engine->load_onnx(model));
  const bool open = here->inputs()[0].dims[0] == 0;
  if (!open) options.batches = {1};
  std::printf("in process: %s\naloft-infer: %s\n\n", engine->description().c_str(),
              apart.description().c_str());

  Json all;
  all["engine"] = engine->description();
  all["model_sha256"] = sha256(model).hex();
  all["slots"] = options.slots;
  all["batches"] = batches(options, *here, apart);
  all["clients"] = clients(options, *here, apart, open ? &together : nullptr);
  bench::write_json(options.json, all);
  return 0;
}
