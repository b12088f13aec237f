#include "cluster/rollouts.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <spdlog/spdlog.h>

namespace aloft::cluster {
namespace {

using records::RolloutRecord;
using Clock = std::chrono::steady_clock;

constexpr int kMaxReplaced = 64;  // versions; a device that was built with an older one stays there

void replace(RolloutRecord& record, const std::string& digest) {
  if (digest.empty() || digest == record.to()) return;
  const auto& replaced = record.replaced();
  if (std::ranges::find(replaced, digest) != replaced.end()) return;
  record.add_replaced(digest);
  if (record.replaced_size() > kMaxReplaced) {
    record.mutable_replaced()->erase(record.mutable_replaced()->begin());
  }
}

v1::Rollout view_of(const std::string& id, const RolloutRecord& record) {
  v1::Rollout view;
  const auto name = rollout_name(id);
  view.set_tenant(std::string(name.tenant));
  view.set_module(std::string(name.module));
  view.set_state(record.state());
  view.set_percent_hundredths(record.percent_hundredths());
  *view.mutable_limits() = record.limits();
  view.set_reason(record.reason());
  view.mutable_from()->set_digest(record.from());
  view.mutable_to()->set_digest(record.to());
  return view;
}

void describe(v1::Rollout::Version& version, const CallSums& sums) {
  version.set_calls(sums.calls);
  version.set_error_rate(sums.error_rate());
  version.set_p99_us(
      static_cast<std::uint64_t>(sums.p99().value_or(std::chrono::microseconds(0)).count()));
}

}  // namespace

Result<std::string> Rollouts::version_in_use(const std::string& tenant,
                                             const std::string& module) const {
  if (const auto known = tables_.rollouts.find(rollout_id(tenant, module))) {
    return known->state() == v1::Rollout::FINISHED ? known->to() : known->from();
  }
  std::set<std::string> found;
  tables_.sessions.for_each([&](const std::string&, const auto& session) {
    if (session->tenant() != tenant) return;
    for (const auto& ref : session->modules()) {
      if (ref.name() == module) found.insert(ref.digest());
    }
  });
  if (found.size() == 1) return *found.begin();
  if (found.empty()) {
    return fail(Errc::not_found, "tenant " + tenant + " has no session with the module " + module +
                                     ": say which version is replaced (--from sha256:...)");
  }
  return fail(Errc::invalid_argument, "sessions of tenant " + tenant + " have " +
                                          std::to_string(found.size()) +
                                          " versions of the module " + module +
                                          ": say which is replaced (--from sha256:...)");
}

Result<void> Rollouts::start(const v1::StartRolloutRequest& request, const std::string& from) {
  const std::string& to = request.module().digest();
  return ledger_.run([&](Draft& draft) -> Result<void> {
    const std::string id = rollout_id(request.tenant(), request.module().name());
    auto record = draft.edit(tables_.rollouts, id);
    const bool goes_on = record.state() == v1::Rollout::RUNNING && record.to() == to;
    if (record.state() == v1::Rollout::RUNNING && !goes_on) {
      return fail(Errc::refused, "a rollout of " + request.module().name() + " to " + record.to() +
                                     " is under way: finish or abort it first");
    }
    if (goes_on && record.from() != from) {
      return fail(Errc::refused, "the rollout that is under way replaces " + record.from());
    }
    if (!goes_on) {
      const std::string former_from = record.from();
      const std::string former_to =
          record.state() == v1::Rollout::FINISHED ? record.to() : std::string();
      auto* const replaced = record.mutable_replaced();
      for (auto at = replaced->begin(); at != replaced->end();) {
        at = *at == to || *at == from ? replaced->erase(at) : at + 1;
      }
      record.set_from(from);
      record.set_to(to);
      if (former_from != from) replace(record, former_from);
      if (former_to != from) replace(record, former_to);
    }
    record.set_percent_hundredths(request.percent_hundredths());
    *record.mutable_limits() = request.limits();
    record.set_state(v1::Rollout::RUNNING);
    record.clear_reason();
    draft.write(tables_.rollouts, id, std::move(record));
    return {};
  });
}

Result<void> Rollouts::end(const std::string& tenant, const std::string& module,
                           v1::EndRolloutRequest::How how) {
  return ledger_.run([&](Draft& draft) -> Result<void> {
    const std::string id = rollout_id(tenant, module);
    auto record = draft.edit(tables_.rollouts, id);
    if (record.state() == v1::Rollout::STATE_UNSPECIFIED)
      return fail(Errc::not_found, "tenant " + tenant + " has no rollout of " + module);
    const auto state =
        how == v1::EndRolloutRequest::FINISH ? v1::Rollout::FINISHED : v1::Rollout::ABORTED;
    if (record.state() == state) return {};
    if (record.state() != v1::Rollout::RUNNING) {
      return fail(Errc::refused, "the rollout of " + module +
                                     " is over: " + v1::Rollout::State_Name(record.state()) +
                                     (record.reason().empty() ? "" : ", " + record.reason()));
    }
    record.set_state(state);
    draft.write(tables_.rollouts, id, std::move(record));
    return {};
  });
}

Result<bool> Rollouts::take_back(const std::string& id, const std::string& to,
                                 const std::string& reason) {
  bool was = false;
  auto run = ledger_.run([&](Draft& draft) -> Result<void> {
    auto record = draft.edit(tables_.rollouts, id);
    was = record.state() == v1::Rollout::RUNNING && record.to() == to;
    if (!was) return {};
    record.set_state(v1::Rollout::TAKEN_BACK);
    record.set_reason(reason);
    draft.write(tables_.rollouts, id, std::move(record));
    return {};
  });
  if (!run) return std::unexpected(run.error());
  if (!was) return false;
  spdlog::warn("the rollout of {} to {} is taken back: {}", id, to, reason);
  ++taken_back_;
  return true;
}

std::vector<Rollouts::Bad> Rollouts::judge(Clock::time_point now) {
  std::map<std::string, std::shared_ptr<const RolloutRecord>> running;
  tables_.rollouts.for_each([&](const std::string& id, const auto& record) {
    if (record->state() == v1::Rollout::RUNNING) running.emplace(id, record);
  });
  std::erase_if(judged_, [&](const auto& one) {
    const auto found = running.find(one.first);
    return found == running.end() || found->second->from() != one.second.from ||
           found->second->to() != one.second.to;
  });
  if (running.empty()) return {};
  for (const auto& [id, record] : running) {
    auto& judged = judged_[id];
    judged.from = record->from();
    judged.to = record->to();
  }
  tables_.counts.for_each([&](const std::string& host, const auto& record) {
    const std::string source = host + "/" + record->boot_id();
    for (const v1::ModuleCounts& counts : record->modules()) {
      for (auto& [id, judged] : judged_) {
        if (rollout_name(id).tenant != counts.tenant()) continue;
        const auto kind =
            judged.heard ? RolloutJudge::Source::new_to_all : RolloutJudge::Source::known_before;
        if (counts.digest() == judged.to) {
          judged.after.hear(source, CallSums::of(counts), kind, now);
        } else if (counts.digest() == judged.from) {
          judged.before.hear(source, CallSums::of(counts), kind, now);
        }
      }
    }
  });
  std::vector<Bad> bad;
  for (auto& [id, judged] : judged_) {
    judged.heard = true;
    const auto& limits = running.at(id)->limits();
    (void)judged.before.look(limits, now);
    if (auto why = RolloutJudge::verdict(judged.after.look(limits, now), limits))
      bad.push_back({id, judged.to, *std::move(why)});
  }
  return bad;
}

void Rollouts::look(Clock::time_point now) {
  std::vector<Bad> all;
  {
    const std::scoped_lock lock(mutex_);
    all = judge(now);
  }
  for (const Bad& bad : all) (void)take_back(bad.id, bad.to, bad.reason);
}

void Rollouts::describe(std::span<v1::Rollout> views) {
  std::map<std::pair<std::string_view, std::string_view>, v1::Rollout*> by_name;
  for (v1::Rollout& view : views) by_name.try_emplace({view.tenant(), view.module()}, &view);
  const auto count = [](v1::Rollout::Version& version, const std::string& digest) {
    if (version.digest() == digest) version.set_sessions(version.sessions() + 1);
  };
  tables_.sessions.for_each([&](const std::string&, const auto& session) {
    for (const auto& ref : session->modules()) {
      const auto found = by_name.find({session->tenant(), ref.name()});
      if (found == by_name.end()) continue;
      count(*found->second->mutable_from(), ref.digest());
      count(*found->second->mutable_to(), ref.digest());
    }
  });
  const std::scoped_lock lock(mutex_);
  const auto now = Clock::now();
  for (v1::Rollout& view : views) {
    const auto judged = judged_.find(rollout_id(view.tenant(), view.module()));
    if (judged == judged_.end()) continue;
    cluster::describe(*view.mutable_from(), judged->second.before.look(view.limits(), now));
    cluster::describe(*view.mutable_to(), judged->second.after.look(view.limits(), now));
  }
}

std::optional<v1::Rollout> Rollouts::view(const std::string& tenant, const std::string& module) {
  const std::string id = rollout_id(tenant, module);
  const auto record = tables_.rollouts.find(id);
  if (!record) return std::nullopt;
  v1::Rollout view = view_of(id, *record);
  describe({&view, 1});
  return view;
}

std::vector<v1::Rollout> Rollouts::views(const std::string& tenant, const std::string& module) {
  std::vector<v1::Rollout> views;
  tables_.rollouts.for_each([&](const std::string& id, const auto& record) {
    const auto name = rollout_name(id);
    if (!tenant.empty() && name.tenant != tenant) return;
    if (!module.empty() && name.module != module) return;
    views.push_back(view_of(id, *record));
  });
  describe(views);
  return views;
}

std::vector<std::string> Rollouts::counted() const {
  std::vector<std::string> digests;
  tables_.rollouts.for_each([&](const std::string&, const auto& record) {
    if (record->state() != v1::Rollout::RUNNING) return;
    digests.push_back(record->from());
    digests.push_back(record->to());
  });
  return digests;
}

bool Rollouts::counts(const v1::ModuleCounts& counts) const {
  bool found = false;
  tables_.rollouts.for_each([&](const std::string& id, const auto& record) {
    found |= record->state() == v1::Rollout::RUNNING &&
             rollout_name(id).tenant == counts.tenant() &&
             (record->from() == counts.digest() || record->to() == counts.digest());
  });
  return found;
}

}  // namespace aloft::cluster
