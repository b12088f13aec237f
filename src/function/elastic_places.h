// What the ends of elastic objects, channels and calls with effects need of a runtime: its edges,
// the threads that run things here, where results and reports go. And the list of these ends, so
// that a runtime that ends brings their states home first.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "function/elastic_thread.h"
#include "function/end_links.h"
#include "function/here_executor.h"
#include "function/log.h"
#include "function/remote_session.h"
#include "inference/graph_table.h"
#include <aloft/detail/binding.h>
#include <aloft/detail/elastic_call.h>
#include <aloft/place.h>
#include <aloft/result.h>

namespace aloft::function {

class ElasticCalls;
class ElasticEnd;
struct EndSetup;

struct EndPlacesOptions {
  std::vector<RemoteSession*> sessions;           // Location::edge(n) is the n-th
  HereExecutor* executor = nullptr;               // runs what runs here; not null
  const inference::GraphTable* graphs = nullptr;  // for these runs; not null
  const Log* log = nullptr;                       // not null
  // Every move and recovery, once it is over. From any thread; must not block.
  std::function<void(const ModuleDescriptor&, const Result<MoveReport>&)> on_move;
  // An asynchronous call's result, or why there is none, is there: finishes its completion, after
  // which the call may be gone. From any thread. Empty: nothing but that.
  std::function<void(detail::ElasticCall&)> on_settled;
  // What a state may take to come home by a move; then it is recovered here.
  std::chrono::milliseconds homecoming{3000};
};

// Thread rule: any thread.
class EndPlaces : public std::enable_shared_from_this<EndPlaces> {
 public:
  // All that the options point to is used until end() returns.
  [[nodiscard]] static std::shared_ptr<EndPlaces> make(EndPlacesOptions options);
  ~EndPlaces();
  EndPlaces(const EndPlaces&) = delete;
  EndPlaces& operator=(const EndPlaces&) = delete;

  // Moves every object's state into this process, and waits until nothing runs on it any more. For
  // when calls are no longer dispatched: a plain call finds the state then.
  void bring_home();
  // The same; then ends all ends: what they wait for ends with `cancelled`. Nothing of the options
  // is used after that. More than once is allowed.
  void end();

  // Errors: cancelled (the runtime ends).
  [[nodiscard]] Result<std::shared_ptr<ElasticEnd>> open(const EndSetup& setup);
  // Takes an end off the list; its owner has closed it.
  void forget(const ElasticEnd& end);
  // Calls of a function with effects at edges. Lives until end(). Errors: as open().
  [[nodiscard]] Result<ElasticCalls*> once(const FunctionDescriptor& function);

  // As CallDispatcher's.
  void prefer(std::uint32_t edge) { preferred_.store(edge + 1, std::memory_order_release); }
  void bring_ends();
  // Where an end goes that is asked to go to `to`.
  [[nodiscard]] Location destination(Location to) const {
    const std::uint32_t preferred = preferred_.load(std::memory_order_acquire);
    return preferred == 0 || to.is_here() ? to : Location::edge(preferred - 1);
  }
  // The version that ends of this module are attached to at edges from now on. Those that are
  // attached already stay with theirs until they follow (ElasticEnd::follow_version).
  void set_version(const ModuleDescriptor& module, ModuleVersion version);
  [[nodiscard]] ModuleVersion version(const ModuleDescriptor& module) const;
  [[nodiscard]] std::vector<std::shared_ptr<ElasticEnd>> ends_of(const ModuleDescriptor& module);

  [[nodiscard]] const EndPlacesOptions& options() const { return options_; }
  [[nodiscard]] const std::vector<std::shared_ptr<EndLinks>>& links() const { return links_; }
  [[nodiscard]] ElasticThread& thread() { return thread_; }

 private:
  explicit EndPlaces(EndPlacesOptions options);
  [[nodiscard]] std::vector<std::shared_ptr<ElasticEnd>> ends();

  EndPlacesOptions options_;
  std::vector<std::shared_ptr<EndLinks>> links_;
  std::atomic<std::uint32_t> preferred_ = 0;  // a location's number; 0: edges are what they are

  mutable std::mutex versions_mutex_;  // taken after an end's
  std::map<const ModuleDescriptor*, ModuleVersion> versions_;

  std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::shared_ptr<ElasticEnd>> ends_;
  std::map<const FunctionDescriptor*, std::unique_ptr<ElasticCalls>> once_;

  ElasticThread thread_;
};

}  // namespace aloft::function
