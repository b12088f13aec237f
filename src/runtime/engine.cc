#include "runtime/engine.h"

#include <string>

#include "runtime/engine_impl.h"
#include "runtime/host_linker.h"
#include "runtime/module_impl.h"
#include "runtime/wasi.h"
#include "runtime/wasi_nn_functions.h"

namespace aloft::runtime {
namespace {

constexpr std::uint32_t kPooledTablesPerInstance = 1;
constexpr std::size_t kPooledTableElements = 20'000;
// The engine reserves this much address space for each memory, so that memories up to it never
// move.
constexpr std::uint64_t kLargestMemory = std::uint64_t{4} << 30;

ConfigHandle make_config(const EngineOptions& options) {
  ConfigHandle config(wasm_config_new());
  wasmtime_config_strategy_set(config.get(), WASMTIME_STRATEGY_CRANELIFT);
  wasmtime_config_cranelift_opt_level_set(config.get(), WASMTIME_OPT_LEVEL_SPEED);
  wasmtime_config_parallel_compilation_set(config.get(), true);
  wasmtime_config_epoch_interruption_set(config.get(), true);
  wasmtime_config_wasm_simd_set(config.get(), true);
  wasmtime_config_wasm_relaxed_simd_set(config.get(), false);
  wasmtime_config_wasm_bulk_memory_set(config.get(), true);
  wasmtime_config_wasm_multi_memory_set(config.get(), false);
  wasmtime_config_wasm_memory64_set(config.get(), false);
  // NaN payloads are the one thing that the WebAssembly specification leaves open on a fixed
  // processor. They are not canonicalized: it would cost time on every float operation, the native
  // build has the same instructions and hence the same payloads, and no value that a function
  // returns depends on a NaN's payload unless it looks at its bits.
  wasmtime_config_cranelift_nan_canonicalization_set(config.get(), false);
  aloft_wasmtime_config_backtrace_details_set(config.get(), true);

  using PoolHandle = std::unique_ptr<wasmtime_pooling_allocation_config_t,
                                     Deleter<wasmtime_pooling_allocation_config_delete>>;
  const PoolHandle pool(wasmtime_pooling_allocation_config_new());
  wasmtime_pooling_allocation_config_total_core_instances_set(pool.get(), options.max_instances);
  wasmtime_pooling_allocation_config_total_memories_set(pool.get(), options.max_instances);
  wasmtime_pooling_allocation_config_total_tables_set(
      pool.get(), options.max_instances * kPooledTablesPerInstance);
  wasmtime_pooling_allocation_config_max_tables_per_module_set(pool.get(),
                                                               kPooledTablesPerInstance);
  wasmtime_pooling_allocation_config_table_elements_set(pool.get(), kPooledTableElements);
  wasmtime_pooling_allocation_config_max_memory_size_set(pool.get(), options.max_memory_bytes);
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool.get(),
                                                                     options.keep_resident_bytes);
  wasmtime_pooling_allocation_strategy_set(config.get(), pool.get());
  return config;
}

}  // namespace

Result<std::shared_ptr<Engine>> Engine::create(const EngineOptions& options) {
  if (options.max_memory_bytes > kLargestMemory) {
    return fail(Errc::invalid_argument, "max_memory_bytes is more than a 32-bit guest can have");
  }
  auto impl = std::make_shared<Impl>();
  if (!options.cache_dir.empty()) {
    auto cache = options.cache_use == CacheUse::read_only
                     ? ArtifactCache::open_read_only(options.cache_dir)
                     : ArtifactCache::open(options.cache_dir);
    if (!cache) return std::unexpected(cache.error());
    impl->cache.emplace(std::move(*cache));
  }
  wasm_engine_t* engine = nullptr;
  if (const ErrorHandle error{aloft_wasmtime_engine_new(make_config(options).release(), &engine)}) {
    return fail(Errc::invalid_argument,
                "the WebAssembly engine cannot be set up: " + message_of(*error));
  }
  impl->engine.reset(engine);
  impl->linker.reset(wasmtime_linker_new(engine));
  for (auto defined : {define_host_functions(*impl->linker, kWasiModule, wasi_functions()),
                       define_host_functions(*impl->linker, kWasiNnModule, wasi_nn_functions())}) {
    if (!defined) return std::unexpected(defined.error());
  }
  impl->epochs.emplace(engine);
  return std::shared_ptr<Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

std::string Engine::description() { return std::string("wasmtime ") + WASMTIME_VERSION; }

std::uint64_t Engine::compilations() const { return impl_->compilations.load(); }

// The engine's number stands for its version, settings and the processor.
std::string Engine::artifact_name(const Digest& module) const {
  return module.hex() + "-" +
         std::to_string(aloft_wasmtime_engine_compatibility_hash(impl_->engine.get())) + ".cwasm";
}

Result<Engine::Compiled> Engine::compile(std::span<const std::byte> wasm) {
  auto module = load(wasm);  // it is linked, too: what would be refused is refused here
  if (!module) return std::unexpected(std::move(module).error());
  wasm_byte_vec_t bytes;
  if (const ErrorHandle error{wasmtime_module_serialize((*module)->impl().module.get(), &bytes)})
    return fail(Errc::internal, "the compiled module cannot be kept: " + message_of(*error));
  const auto view = std::as_bytes(std::span(bytes.data, bytes.size));
  Compiled compiled{artifact_name((*module)->digest()), {view.begin(), view.end()}};
  wasm_byte_vec_delete(&bytes);
  return compiled;
}

Result<std::shared_ptr<const Module>> Engine::load(std::span<const std::byte> wasm) {
  auto manifest = read_manifest(wasm);
  if (!manifest) return std::unexpected(manifest.error());
  auto made = std::make_unique<Module::Impl>();
  made->engine = impl_;
  made->digest = sha256(wasm);
  made->manifest = std::move(*manifest);

  const std::string name = artifact_name(made->digest);
  wasmtime_module_t* module = nullptr;
  if (const auto artifact = impl_->cache ? impl_->cache->load(name) : std::nullopt) {
    const ErrorHandle stale{wasmtime_module_deserialize(
        impl_->engine.get(), reinterpret_cast<const std::uint8_t*>(artifact->data()),
        artifact->size(), &module)};
    if (stale) module = nullptr;
  }
  if (module == nullptr) {
    const ErrorHandle error{wasmtime_module_new(impl_->engine.get(),
                                                reinterpret_cast<const std::uint8_t*>(wasm.data()),
                                                wasm.size(), &module)};
    if (error) return fail(Errc::corrupt, "not a valid WebAssembly module: " + message_of(*error));
    impl_->compilations.fetch_add(1);
    wasm_byte_vec_t bytes;
    const ErrorHandle unserialized{impl_->cache ? wasmtime_module_serialize(module, &bytes)
                                                : nullptr};
    if (impl_->cache && !unserialized) {
      impl_->cache->store(name, std::as_bytes(std::span(bytes.data, bytes.size)));
      wasm_byte_vec_delete(&bytes);
    }
  }
  made->module.reset(module);
  if (auto linked = made->link(); !linked) return std::unexpected(linked.error());
  return std::make_shared<const Module>(std::move(made));
}

}  // namespace aloft::runtime
