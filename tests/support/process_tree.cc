#include "support/process_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace aloft::testing {

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  std::error_code error;
  const std::filesystem::path tasks = "/proc/" + std::to_string(parent) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) found.push_back(child);
  }
  return found;
}

std::string name_of(pid_t process) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(process) + "/comm"), name);
  return name;
}

std::optional<pid_t> child_of(pid_t parent, std::string_view name) {
  const auto children = children_of(parent);
  const auto found =
      std::ranges::find_if(children, [&](pid_t child) { return name_of(child) == name; });
  if (found == children.end()) return std::nullopt;
  return *found;
}

}  // namespace aloft::testing
