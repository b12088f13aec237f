#include "function/elastic_places.h"

#include <algorithm>
#include <latch>
#include <thread>
#include <utility>

#include "function/elastic_calls.h"
#include "function/elastic_end.h"

namespace aloft::function {

std::shared_ptr<EndPlaces> EndPlaces::make(EndPlacesOptions options) {
  return std::shared_ptr<EndPlaces>(new EndPlaces(std::move(options)));
}

EndPlaces::EndPlaces(EndPlacesOptions options) : options_(std::move(options)) {
  for (const RemoteSession* const session : options_.sessions) links_.push_back(session->ends());
}

EndPlaces::~EndPlaces() = default;

Result<std::shared_ptr<ElasticEnd>> EndPlaces::open(const EndSetup& setup) {
  std::shared_ptr<ElasticEnd> end;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return fail(Errc::cancelled, "the runtime ended");
    end = std::make_shared<ElasticEnd>(shared_from_this(), setup);
    ends_.push_back(end);
  }
  end->connect();
  return end;
}

void EndPlaces::forget(const ElasticEnd& end) {
  std::shared_ptr<ElasticEnd> forgotten;  // released without the lock
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(ends_, &end, [](const auto& kept) { return kept.get(); });
  if (found == ends_.end()) return;
  forgotten = std::move(*found);
  ends_.erase(found);
}

Result<ElasticCalls*> EndPlaces::once(const FunctionDescriptor& function) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = once_.find(&function); found != once_.end()) return found->second.get();
  }
  channel::FixedEndOptions options;
  options.has_effects = true;
  auto end = open({.module = function.module,
                   .object_class = nullptr,
                   .object = nullptr,
                   .name = function.qualified_name,
                   .options = options,
                   .priority = channel::kNormal});
  if (!end) return std::unexpected(std::move(end.error()));
  auto made = std::make_unique<ElasticCalls>(*end);
  ElasticCalls* kept = nullptr;
  {
    const std::lock_guard lock(mutex_);
    kept = once_.try_emplace(&function, std::move(made)).first->second.get();
  }
  if (&kept->end() != end->get()) (*end)->close({Errc::cancelled, "another thread made it first"});
  return kept;
}

std::vector<std::shared_ptr<ElasticEnd>> EndPlaces::ends() {
  const std::lock_guard lock(mutex_);
  return ends_;
}

void EndPlaces::set_version(const ModuleDescriptor& module, ModuleVersion version) {
  const std::lock_guard lock(versions_mutex_);
  versions_[&module] = version;
}

ModuleVersion EndPlaces::version(const ModuleDescriptor& module) const {
  const std::lock_guard lock(versions_mutex_);
  const auto found = versions_.find(&module);
  return found == versions_.end() ? 0 : found->second;
}

std::vector<std::shared_ptr<ElasticEnd>> EndPlaces::ends_of(const ModuleDescriptor& module) {
  auto all = ends();
  std::erase_if(all, [&](const auto& end) { return &end->module() != &module; });
  return all;
}

void EndPlaces::bring_home() {
  std::vector<std::jthread> each;
  for (const auto& end : ends()) {
    if (end->has_state()) each.emplace_back([end] { end->come_home(); });
  }
}

void EndPlaces::bring_ends() {
  const Location to = destination(Location::edge(0));
  auto away = ends();
  std::erase_if(away,
                [&](const auto& end) { return !end->wanted_at_edge() || end->location() == to; });
  std::latch moved(static_cast<std::ptrdiff_t>(away.size()));
  for (const auto& end : away) end->move(to, [&](const auto&) { moved.count_down(); });
  moved.wait();
}

void EndPlaces::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  bring_home();
  for (const auto& end : ends()) end->close({Errc::cancelled, "the runtime ended"});
  thread_.stop();
  decltype(once_) released;  // without the lock; they hold their ends, and these hold this
  const std::lock_guard lock(mutex_);
  released.swap(once_);
}

}  // namespace aloft::function
