// The models that sessions name by SHA-256: taken from a UE once, kept on disk, loaded into the
// engine once, shared.
//
// Nothing gets in under a wrong name: bytes from a UE and bytes from the disk are hashed before
// they are used. All is bounded, by size: one model, those that are loaded, those on disk. Loaded
// models that no session uses are dropped first used first when room is needed; files likewise.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "base/digest.h"
#include "base/units.h"
#include "host/quarantine.h"
#include "inference/engine.h"
#include <aloft/result.h>

namespace aloft::host {

struct ModelStoreOptions {
  std::filesystem::path folder;  // SHA-256.onnx each; made when the first model comes
  Bytes max_model = 512_MiB;     // of one file
  Bytes max_loaded = 2_GiB;      // files' sizes of all models in the engine
  Bytes max_disk = 8_GiB;        // of the folder
};

// Thread rule: any thread except an I/O thread: find() and add() read files, and load models, which
// can take seconds.
class ModelStore {
 public:
  // `engine` and `quarantine` are borrowed.
  ModelStore(inference::Engine& engine, const Quarantine& quarantine, ModelStoreOptions options);
  ModelStore(const ModelStore&) = delete;
  ModelStore& operator=(const ModelStore&) = delete;

  // Whether a model of this name and size may come in at all. Errors: refused (quarantined, too
  // large, empty).
  [[nodiscard]] Result<void> admit(const Digest& digest, std::uint64_t size) const;

  // The loaded model, from memory or disk; null when it is in neither. Errors: as add(), for what
  // the disk has; a file that does not match its name counts as absent and is removed.
  [[nodiscard]] Result<std::shared_ptr<inference::Graph>> find(const Digest& digest);

  // Takes a model that a UE sent. Errors: corrupt (another SHA-256, or no ONNX model), refused
  // (what the engine lacks or does not take, such as weights in other files; quarantined; too
  // large), overloaded (too much is loaded already). The disk is a cache: that it is full or
  // read-only is logged and harms nothing.
  [[nodiscard]] Result<std::shared_ptr<inference::Graph>> add(const Digest& digest,
                                                              std::span<const std::byte> model);

 private:
  struct Loaded {
    Digest digest;
    std::uint64_t size = 0;  // bytes
    std::shared_ptr<inference::Graph> graph;
  };

  [[nodiscard]] std::filesystem::path file_of(const Digest& digest) const;
  [[nodiscard]] std::shared_ptr<inference::Graph> find_loaded(const Digest& digest);
  [[nodiscard]] Result<std::shared_ptr<inference::Graph>> load(const Digest& digest,
                                                               std::span<const std::byte> model);
  [[nodiscard]] Result<void> make_room(std::uint64_t size);
  void keep(const Digest& digest, std::span<const std::byte> model) const;
  void make_room_on_disk(std::uint64_t size) const;

  inference::Engine& engine_;
  const Quarantine& quarantine_;
  const ModelStoreOptions options_;
  std::mutex load_mutex_;     // one model at a time is read and loaded; taken before mutex_
  std::mutex mutex_;          // for loaded_
  std::list<Loaded> loaded_;  // the latest used last
};

}  // namespace aloft::host
