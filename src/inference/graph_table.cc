#include "inference/graph_table.h"

#include <utility>

namespace aloft::inference {
namespace {

thread_local const GraphScope* current_scope = nullptr;

}  // namespace

std::shared_ptr<Graph> GraphTable::find(std::string_view name) const {
  const auto found = graphs_.find(name);
  return found == graphs_.end() ? nullptr : found->second;
}

GraphScope::GraphScope(const GraphTable& table, TensorObserver* observer, std::stop_token stop)
    : table_(table),
      observer_(observer),
      stop_(std::move(stop)),
      outer_(std::exchange(current_scope, this)) {}

GraphScope::~GraphScope() { current_scope = outer_; }

const GraphScope* GraphScope::current() { return current_scope; }

}  // namespace aloft::inference
