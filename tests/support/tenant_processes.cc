#include "support/tenant_processes.h"

#include <fstream>
#include <utility>

#include "support/process_tree.h"

namespace aloft::testing {
namespace {

// A process that is nobody's yet, or that waits for another one, has dashes where the name is to
// be.
std::string tenant_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/cmdline");
  bool next = false;
  for (std::string word; std::getline(file, word, '\0');) {
    if (next) return word.starts_with('-') ? std::string() : word;
    next = word == "--tenant";
  }
  return {};
}

}  // namespace

std::map<pid_t, std::string> tenant_processes(pid_t daemon) {
  std::map<pid_t, std::string> found;
  for (const pid_t child : children_of(daemon)) {
    if (std::string tenant = tenant_of(child); !tenant.empty())
      found.emplace(child, std::move(tenant));
    found.merge(tenant_processes(child));
  }
  return found;
}

}  // namespace aloft::testing
