#include "host/infer_worker.h"

#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "host/infer_line.h"
#include "inference/processors.h"
#include "inference/service/service.h"
#include "ops/log.h"

namespace aloft::host {
namespace {

namespace service = inference::service;

// Beside what inferences take: stacks of threads, buffers, the engine itself.
constexpr std::uint64_t kOwnMemory = std::uint64_t{1} << 30U;
constexpr int kStuck = 70;  // exit status

class InferWorker {
 public:
  InferWorker(InferLine& line, InferSetup setup) : line_(line), setup_(std::move(setup)) {}

  // Errors: what keeps it from serving.
  Result<void> start(wire::Descriptor journal) {
    ::tzset();
    auto device = inference::parse_device(setup_.device);
    if (!device) return std::unexpected(device.error());
    // Looked for from outside the sandbox, where all that there is can be seen.
    std::string note;
    if (*device != inference::Device::cpu) {
      if (auto files = inference::check_cuda_files(setup_.libraries); !files) {
        if (*device == inference::Device::cuda) return files;
        device = inference::Device::cpu;
        const std::string& why = files.error().message;
        note = " (auto: " + why.substr(0, why.find("; ")) + ")";
      }
    }
    if (journal) {
      auto memory =
          inference::SharedMemory::open(std::move(journal), service::CrashJournal::kBytes);
      if (!memory) return std::unexpected(memory.error());
      journal_.emplace(*std::move(memory));
    }
    if (*device == inference::Device::cpu) {
      if (auto looked = inference::look_at_processors(); !looked) return looked;
    }
    InferReady ready;
    if (auto confined = confine(*device, ready); !confined) return confined;

    auto options = service_options();
    if (!options) return std::unexpected(options.error());
    inference::EngineOptions engine{.threads = setup_.threads,
                                    .concurrency = service::concurrency_of(*options)};
    std::shared_ptr<inference::Engine> cpu, accelerated;
    // The accelerated one first: it may bring a library of its own, and there is one in a process,
    // that of its first engine.
    if (*device != inference::Device::cpu) {
      engine.device = *device;
      engine.libraries = setup_.libraries;
      auto made = inference::make_engine(engine);
      if (!made) return std::unexpected(made.error());
      ready.gpus = (*made)->accelerators();
      (ready.gpus.empty() ? cpu : accelerated) = *std::move(made);
      if (accelerated) ready.accelerated = accelerated->description();
    }
    if (!cpu) {
      engine.device = inference::Device::cpu;
      auto made = inference::make_engine(engine);
      if (!made) return std::unexpected(made.error());
      cpu = *std::move(made);
    }
    ready.engine = cpu->description() + note;
    service_ = std::make_unique<service::InferenceService>(std::move(cpu), std::move(accelerated),
                                                           *std::move(options));
    for (const std::string& model : setup_.forbidden) {
      if (const auto digest = Digest::parse(model)) service_->forbid(*digest);
    }
    return line_.send(ready);
  }

  // Until it is told to end.
  void obey() {
    while (auto received = line_.receive()) {
      if (std::holds_alternative<InferEnd>(received->message)) return;
      if (const auto* const share = std::get_if<InferShare>(&received->message)) {
        service_->set_share(share->tenant, share_of(*share));
      } else if (const auto* const client = std::get_if<InferClient>(&received->message);
                 client != nullptr && received->descriptor) {
        service_->add_client(client->share.tenant,
                             {.memory = client->memory_bytes,
                              .models = client->model_bytes,
                              .accelerator = client->gpus != 0 ? service::Accelerator::yes
                                                               : service::Accelerator::no},
                             share_of(client->share), std::move(received->descriptor));
      }
    }
  }

 private:
  static service::TenantShare share_of(const InferShare& share) {
    return {.inferences = share.inferences, .cpu_millicores = share.cpu_millicores};
  }

  Result<void> confine(inference::Device device, InferReady& ready) {
    SandboxOptions options{.root = setup_.root,
                           .shown = {},
                           .scratch = "",
                           .user = setup_.user,
                           .keep = {kInferLineDescriptor},
                           .need = setup_.need};
    if (journal_) options.keep.push_back(journal_->descriptor());
    auto calls = SystemCalls::serve;
    if (device != inference::Device::cpu) {
      show_accelerator(options, setup_.libraries);
      calls = SystemCalls::accelerate;
    }
    auto confined = enter_sandbox(options);
    if (!confined) return std::unexpected(std::move(confined).error());
    ready.missing = std::move(confined->missing);
    // An inference that asks for too much fails then, and not the process. (A driver reserves
    // far more than it uses.)
    if (setup_.memory_bytes != 0 && calls == SystemCalls::serve)
      limit_memory(setup_.memory_bytes + kOwnMemory);
    if (auto allowed = allow_only(calls); !allowed) {
      if (setup_.need == Need::everything) return allowed;
      ready.missing.push_back(allowed.error().message);
    }
    return {};
  }

  Result<service::ServiceOptions> service_options() {
    const std::map<std::string, service::Batching> batchings{
        {"off", service::Batching::off},
        {"same-bits", service::Batching::same_bits},
        {"any-bits", service::Batching::any_bits}};
    const auto batching = batchings.find(setup_.batching);
    if (batching == batchings.end())
      return fail(Errc::invalid_argument, "batching is off, same-bits or any-bits");
    service::ServiceOptions options{
        .slots = setup_.slots,
        .inference_threads = setup_.threads,
        .batch_wait = std::chrono::microseconds(setup_.batch_wait_us),
        .models = {.batching = batching->second, .most_rows = setup_.batch_rows},
        .journal = journal_ ? &*journal_ : nullptr,
        .log =
            [](const std::string& tenant, const std::string& line) {
              ops::log(spdlog::level::info, line, {{"tenant", tenant}});
            },
        .stuck =
            [this](const Digest& model, const std::string& why) {
              spdlog::error("{}; this process gives way to another", why);
              (void)line_.send(InferStuck{"sha256:" + model.hex(), why});
              ::_exit(kStuck);
            }};
    for (const std::string& model : setup_.vouched) {
      auto digest = Digest::parse(model);
      if (!digest) return std::unexpected(digest.error());
      options.models.vouched.insert(*digest);
    }
    return options;
  }

  InferLine& line_;
  const InferSetup setup_;
  std::optional<service::CrashJournal> journal_;
  std::unique_ptr<service::InferenceService> service_;
};

}  // namespace

int serve_inference() {
  InferLine line{wire::Descriptor(kInferLineDescriptor)};
  auto first = line.receive();
  if (!first || !std::holds_alternative<InferSetup>(first->message)) {
    spdlog::error("only aloft-host starts aloft-infer");
    return 2;
  }
  InferWorker worker(line, std::move(std::get<InferSetup>(first->message)));
  if (auto started = worker.start(std::move(first->descriptor)); !started) {
    spdlog::error("{}", started.error().message);
    (void)line.send(InferFailed{started.error().message});
    return 1;
  }
  worker.obey();
  ::_exit(0);  // an inference that does not end is not waited for
}

}  // namespace aloft::host
