// The models that are loaded, by what they are: who brings the same bytes shares them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>

#include "base/digest.h"
#include "inference/engine.h"
#include "inference/service/crash_journal.h"
#include "inference/service/served_model.h"

namespace aloft::inference::service {

struct ModelTableOptions {
  Batching batching = Batching::same_bits;
  std::uint32_t most_rows = 8;
  std::set<Digest> vouched{};  // models in which rows of several tenants may meet
};

// Thread rule: any thread.
class ModelTable {
 public:
  // `engine` and `journal` (may be null) are borrowed.
  ModelTable(Engine& engine, CrashJournal* journal, ModelTableOptions options)
      : engine_(engine), journal_(journal), options_(std::move(options)) {}

  // `model` must not change meanwhile. Errors: as Engine::load_onnx; refused (it brought a process
  // down before).
  [[nodiscard]] Result<std::shared_ptr<ServedModel>> get(const Digest& digest,
                                                         std::span<const std::byte> model);
  // Never again.
  void forbid(const Digest& model);

 private:
  Engine& engine_;
  CrashJournal* const journal_;
  const ModelTableOptions options_;
  std::mutex mutex_;
  std::map<Digest, std::weak_ptr<ServedModel>> models_;
  std::set<Digest> forbidden_;
};

}  // namespace aloft::inference::service
