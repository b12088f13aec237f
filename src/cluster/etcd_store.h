// The state of a cluster with any number of managers: etcd, through version 3 of its gRPC API.
//
// Any member of the etcd cluster serves; when one goes, or has lost the others, the next one is
// asked. A transaction is sent once only: where the answer does not come, nobody knows whether it
// was made (unreachable). Reading is repeated at other members until the timeout.
//
// Etcd keeps all past revisions until it is told to forget: start it with
// `--auto-compaction-mode=periodic --auto-compaction-retention=10m`.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cluster/store.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct EtcdOptions {
  std::vector<std::string> endpoints = {};  // HOST:PORT of members
  // PEM files. `authority` alone: etcd's certificate is checked; with the other two, ours is shown
  // as well. None: in clear.
  std::filesystem::path authority = {}, certificate = {}, key = {};
  std::string prefix = {};  // of all keys, "aloft/CLUSTER/"; callers of the store do not see it
  std::chrono::milliseconds timeout{5'000};
};

struct EtcdStore {
  // Connects in the background: a store that cannot be reached yet is no error here. Errors:
  // invalid_argument (no endpoints, a certificate without key), not_found (a file that cannot be
  // read).
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(EtcdOptions options);
};

}  // namespace aloft::cluster
