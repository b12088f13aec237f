#include "site.h"

#include <deque>
#include <optional>
#include <utility>

namespace aloft::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

// One movable end with what it runs. What it starts ends by itself later, unless it is gone by
// then.
class Site::Attachment final : public channel::MovableEndHost,
                               public channel::MovableEndPort,
                               public std::enable_shared_from_this<Attachment> {
 public:
  Attachment(Site& site, Epoch epoch, std::uint32_t version, ConnectionPointer connection)
      : site_(site), stage_(site.stage_), connection_(std::move(connection)) {
    at_ = {site.place_, site.life_, epoch, version};
  }

  // `serves`: it has its state and goes on from message 1.
  void make(bool serves) {
    channel::MovableEndOptions options;
    options.has_state = stage_.scenario.options.has_state;
    options.serves = serves;
    if (serves && options.has_state) object_.emplace(stage_.object_seed);
    end_.emplace(at_.epoch, options, *this, *this);
  }
  [[nodiscard]] bool made() const { return end_.has_value(); }

  // Until it is made, what comes waits.
  void received(channel::EndMessage message) {
    if (!made()) {
      early_.push_back(std::move(message));
      return;
    }
    end_->received(std::move(message));
    reap();
  }
  void received_early() {
    const auto self = shared_from_this();
    while (!early_.empty() && !gone_) {
      channel::EndMessage message = std::move(early_.front());
      early_.pop_front();
      received(std::move(message));
    }
  }

  void link_down() {
    connection_ = nullptr;
    if (made()) end_->link_down();
  }
  void link_up(ConnectionPointer connection) { connection_ = std::move(connection); }
  [[nodiscard]] const ConnectionPointer& connection() const { return connection_; }
  void be_gone() { gone_ = true; }

  [[nodiscard]] Reply run_by_owner(Sequence sequence, std::uint32_t method, const Bytes& body) {
    if (busy_) broken("its owner runs a message on it while it is busy");
    Reply reply = run(method, body);
    if (made()) end_->skip(sequence);
    return reply;
  }
  [[nodiscard]] std::uint64_t state() const { return object_ ? object_->fingerprint() : 0; }

 private:
  // --- MovableEndPort
  void transmit(channel::EndMessage message) override {
    if (connection_ == nullptr) return;
    stage_.trace.message(stage_.agenda.now(), "   place", at_.place, message);
    stage_.network.send(connection_, Connection::Toward::device, 0, message);
  }

  // --- MovableEndHost
  void execute(Sequence sequence, std::uint32_t method, SharedBytes body) override {
    begin();
    if (stage_.scenario.options.has_state && !object_) broken("runs a message without its state");
    stage_.contract.runs(at_, sequence, method, *body);
    stage_.trace.note(stage_.agenda.now(), "   place= e= runs=", at_.place, at_.epoch, sequence);
    Duration time = stage_.random.between(Duration(1000), stage_.scenario.run_time);
    if (stage_.random.chance(stage_.rates.slow) || stage_.agenda.now() < site_.slow_until_)
      time += stage_.random.skewed(milliseconds(1), seconds(3));
    later(time, [this, sequence, method, body = std::move(body)] { ran(sequence, method, *body); });
  }
  void save() override {
    begin();
    if (!object_) broken("saves a state that it does not have");
    later(working_time(), [this] {
      const bool fails = stage_.random.chance(stage_.rates.save) && may_be_lost();
      if (!object_ || fails)
        refuse_to_save();
      else
        end_->saved(std::make_shared<const Bytes>(object_->save()));
    });
  }
  void load(SharedBytes state) override {
    begin();
    later(working_time(), [this, state = std::move(state)] {
      stage_.contract.state_loads(digest(*state));
      if (((stage_.scenario.bad_versions >> at_.version) & 1U) != 0) {
        end_->loaded(fail(Errc::refused, "this version has another state"));
      } else if (stage_.random.chance(stage_.rates.load)) {
        stage_.contract.mishap();
        end_->loaded(fail(Errc::resource_exhausted, "no memory for the object"));
      } else {
        object_.emplace(*state);
        end_->loaded({});
      }
    });
  }

  void refuse_to_save() {
    stage_.contract.mishap();
    end_->saved(fail(Errc::resource_exhausted, "no memory for the state"));
  }

  // Whether the object may be gone after something failed.
  [[nodiscard]] bool may_be_lost() const {
    return at_.place != channel::kHere || stage_.scenario.options.here_may_fail;
  }

  void begin() {
    if (std::exchange(busy_, true)) broken("has two things to do at a time");
    if (dead_) broken("has something to do after its object was lost");
  }
  void later(Duration delay, std::move_only_function<void()> what) {
    stage_.agenda.after(delay, [self = weak_from_this(), what = std::move(what)]() mutable {
      const auto alive = self.lock();
      if (alive == nullptr || alive->gone_) return;
      alive->busy_ = false;
      what();
      alive->reap();
    });
  }
  [[nodiscard]] Duration working_time() {
    return stage_.random.between(Duration(microseconds(5)), Duration(milliseconds(2)));
  }

  void ran(Sequence sequence, std::uint32_t method, const Bytes& body) {
    const bool traps = Task::decode(body).traps;
    const bool fails = stage_.random.chance(stage_.rates.failure) && may_be_lost();
    if (traps || fails) {
      const bool lives = !stage_.random.chance(stage_.rates.trap_kills) || !may_be_lost();
      if (!lives) {
        object_.reset();
        dead_ = true;
        stage_.contract.fault(at_.place, stage_.agenda.now());
      }
      if (!traps) stage_.contract.run_failed(sequence);
      stage_.trace.note(stage_.agenda.now(), "   place= e= failed= lives=", at_.place, at_.epoch,
                        sequence, lives);
      end_->executed(traps ? Result<SharedBytes>(fail(Errc::trapped, "unreachable"))
                           : fail(Errc::resource_exhausted, "not enough fuel here"),
                     lives);
      return;
    }
    end_->executed(run(method, body).encode(), true);
  }
  [[nodiscard]] Reply run(std::uint32_t method, const Bytes& body) {
    if (!object_) return Object::run_stateless(method, body, at_.version);
    const Reply reply = object_->run(method, body, at_.version);
    stage_.contract.state_became(object_->fingerprint());
    return reply;
  }

  void reap() {
    if (!gone_ && end_->detached()) site_.drop(at_.epoch);
  }
  void broken(const std::string& what) {
    stage_.contract.broken("the end at place " + std::to_string(at_.place) + ", epoch " +
                           std::to_string(at_.epoch) + " " + what);
  }

  Site& site_;
  Stage& stage_;
  RunsAt at_;
  ConnectionPointer connection_;  // null: none now
  std::optional<Object> object_;
  std::optional<channel::MovableEnd> end_;
  std::deque<channel::EndMessage> early_;
  bool busy_ = false;
  bool dead_ = false;  // its object was lost
  bool gone_ = false;  // not in the site's table any more
};

void Site::begin_here(Epoch epoch, const ConnectionPointer& connection) {
  auto attachment = std::make_shared<Attachment>(*this, epoch, 0, connection);
  attachment->make(true);
  attachments_.emplace(epoch, std::move(attachment));
}

void Site::received(const ConnectionPointer& connection, std::uint32_t module,
                    channel::EndMessage message) {
  if (!running_) return;
  stage_.trace.message(stage_.agenda.now(), "-> place", place_, message);
  if (const auto* attach = std::get_if<channel::Attach>(&message.content)) {
    if (attach->resume)
      resume(connection, std::move(message));
    else
      this->attach(connection, message.epoch, module, std::move(message));
    return;
  }
  const auto found = attachments_.find(message.epoch);
  if (found == attachments_.end()) return;
  // Detach names its end: it needs no connection of its own.
  if (found->second->connection() != connection &&
      !std::holds_alternative<channel::Detach>(message.content))
    return;
  const std::shared_ptr<Attachment> attachment = found->second;
  attachment->received(std::move(message));
}

void Site::attach(const ConnectionPointer& connection, Epoch epoch, std::uint32_t module,
                  channel::EndMessage message) {
  if (attachments_.contains(epoch)) {
    stage_.contract.broken("the epoch " + std::to_string(epoch) + " begins twice");
    return;
  }
  auto attachment = std::make_shared<Attachment>(*this, epoch, module, connection);
  attachments_.emplace(epoch, attachment);
  Duration time = stage_.random.skewed(microseconds(10), milliseconds(20));
  const bool fails = stage_.random.chance(stage_.rates.attach);
  if (fails && stage_.random.chance(500)) time += seconds(6);  // past the patience of the device
  stage_.agenda.after(time, [this, epoch, fails, made = std::weak_ptr(attachment),
                             message = std::move(message)]() mutable {
    const auto attachment = made.lock();
    if (attachment == nullptr || !attachments_.contains(epoch)) return;
    if (fails) {
      stage_.network.send(attachment->connection(), Connection::Toward::device, 0,
                          {epoch, channel::Lost{{Errc::not_found, "no such module"}}}, false);
      drop(epoch);
      return;
    }
    attachment->make(false);
    attachment->received(std::move(message));
    attachment->received_early();
  });
}

void Site::resume(const ConnectionPointer& connection, channel::EndMessage message) {
  const auto found = attachments_.find(message.epoch);
  if (found == attachments_.end() || !found->second->made()) {
    if (found != attachments_.end()) drop(message.epoch);
    stage_.network.send(connection, Connection::Toward::device, 0,
                        channel::MovableEnd::unknown(message.epoch));
    return;
  }
  const std::shared_ptr<Attachment> attachment = found->second;
  // The device may see the loss of a connection before this end does.
  if (attachment->connection() != nullptr) attachment->link_down();
  attachment->link_up(connection);
  attachment->received(std::move(message));
}

void Site::lost(const ConnectionPointer& connection) {
  for (auto it = attachments_.begin(); it != attachments_.end();) {
    const auto current = it++;
    if (current->second->connection() != connection) continue;
    if (!current->second->made()) {
      drop(current->first);
      continue;
    }
    current->second->link_down();
    stage_.agenda.after(stage_.scenario.grace, [this, epoch = current->first,
                                                kept = std::weak_ptr(current->second)] {
      const auto attachment = kept.lock();
      if (attachment == nullptr || attachment->connection() != nullptr) return;
      if (!attachments_.contains(epoch)) return;
      stage_.trace.note(stage_.agenda.now(), "   place= e= grace is over", place_, epoch);
      drop(epoch);
    });
  }
}

void Site::crash() {
  running_ = false;
  ++life_;
  while (!attachments_.empty()) drop(attachments_.begin()->first);
}

void Site::drop(Epoch epoch) {
  const auto found = attachments_.find(epoch);
  if (found == attachments_.end()) return;
  const std::shared_ptr<Attachment> attachment = found->second;
  attachment->be_gone();
  attachments_.erase(found);
  // Its own call may be under way.
  stage_.agenda.after(Duration(0), [attachment] {});
}

Reply Site::run_by_owner(Sequence sequence, std::uint32_t method, const Bytes& body) {
  if (attachments_.empty()) return {};
  return attachments_.rbegin()->second->run_by_owner(sequence, method, body);
}

std::uint64_t Site::state() const {
  return attachments_.empty() ? 0 : attachments_.rbegin()->second->state();
}

}  // namespace aloft::sim
