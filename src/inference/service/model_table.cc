#include "inference/service/model_table.h"

namespace aloft::inference::service {

Result<std::shared_ptr<ServedModel>> ModelTable::get(const Digest& digest,
                                                     std::span<const std::byte> model) {
  {
    const std::lock_guard lock(mutex_);
    if (forbidden_.contains(digest)) {
      return fail(Errc::refused, "the model sha256:" + digest.hex() +
                                     " is in quarantine: it brought the inference process down");
    }
    std::erase_if(models_, [](const auto& entry) { return entry.second.expired(); });
    if (const auto known = models_.find(digest); known != models_.end()) {
      if (auto served = known->second.lock()) return served;
    }
  }
  // Two who bring the same model at the same time may both load it; one of the two is kept.
  const CrashJournal::Entry written(journal_, digest);
  auto graph = engine_.load_onnx(model);
  if (!graph) return std::unexpected(graph.error());
  const Vouched vouched = options_.vouched.contains(digest) ? Vouched::yes : Vouched::no;
  auto made = std::make_shared<ServedModel>(digest, *std::move(graph), options_.batching,
                                            options_.most_rows, vouched);
  const std::lock_guard lock(mutex_);
  auto& place = models_[digest];
  if (auto other = place.lock()) return other;
  place = made;
  return made;
}

void ModelTable::forbid(const Digest& model) {
  const std::lock_guard lock(mutex_);
  forbidden_.insert(model);
}

}  // namespace aloft::inference::service
