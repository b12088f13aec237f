// The inside of an elastic end (elastic_end.h), for its own sources: a step under its lock, and an
// attachment of its movable end at the place here.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "channel/movable_end.h"
#include "function/elastic_end.h"
#include "function/here_executor.h"

namespace aloft::function {

// What a function of the end does under its lock, and what follows from it: messages between the
// ends here are handed over before the lock is released, reports are told after.
class ElasticEnd::Step {
 public:
  explicit Step(ElasticEnd& end)
      : now(std::chrono::steady_clock::now()), end_(end), lock_(end.mutex_) {}
  ~Step() {
    end_.settle(now);
    const auto told = std::exchange(end_.told_, {});
    lock_.unlock();
    for (const auto& tell : told) tell();
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  const TimePoint now;

 private:
  ElasticEnd& end_;
  std::unique_lock<std::mutex> lock_;
};

// An attachment at the place here. All but run_here(): under the end's lock.
class ElasticEnd::Here final : private channel::MovableEndHost,
                               private channel::MovableEndPort,
                               private HereTask {
 public:
  enum class Begin : std::uint8_t {
    attached,  // by a message that follows
    serving,   // with the object as it is
  };

  Here(ElasticEnd& end, channel::Epoch its_epoch, Begin begin)
      : epoch(its_epoch),
        end_(end),
        movable_(its_epoch, options(end, begin), static_cast<channel::MovableEndHost&>(*this),
                 static_cast<channel::MovableEndPort&>(*this)) {}

  void received(channel::EndMessage message) { movable_.received(std::move(message)); }
  void skip(channel::Sequence sequence) { movable_.skip(sequence); }
  [[nodiscard]] bool is_over() const { return movable_.detached(); }
  // Whether it uses the object, or is about to.
  [[nodiscard]] bool runs() const { return run_ == Run::posted || run_ == Run::running; }
  [[nodiscard]] bool has_job() const { return job_.has_value() || run_ == Run::running; }
  // Lets a job run that waited until the object was free.
  void go_on() {
    if (job_.has_value() && run_ == Run::idle && !end_.direct_ && !end_.runs_here()) post();
  }
  void drop_job() {
    if (run_ == Run::posted && end_.places_->options().executor->remove(*this)) {
      run_ = Run::idle;
      keep_.reset();
    }
    if (run_ == Run::idle) job_.reset();
  }

  const channel::Epoch epoch;

 private:
  enum class Run : std::uint8_t { idle, posted, running };
  struct Job {
    enum class Kind : std::uint8_t { execute, save, load } kind = Kind::execute;
    std::uint32_t method = 0;
    channel::SharedBytes body;
  };

  void execute(channel::Sequence, std::uint32_t method, channel::SharedBytes body) override {
    begin({.kind = Job::Kind::execute, .method = method, .body = std::move(body)});
  }
  void save() override { begin({.kind = Job::Kind::save, .method = 0, .body = nullptr}); }
  void load(channel::SharedBytes state) override {
    begin({.kind = Job::Kind::load, .method = 0, .body = std::move(state)});
  }
  void transmit(channel::EndMessage message) override {
    end_.said_.push_back({channel::kHere, std::move(message), Said::To::fixed});
  }

  // On a thread of the executor.
  void run_here() override;

  static channel::MovableEndOptions options(const ElasticEnd& end, Begin begin);
  void begin(Job job);
  void post();
  [[nodiscard]] Result<channel::SharedBytes> done(const Job& job) const;
  [[nodiscard]] Result<channel::SharedBytes> run(const Job& job) const;
  [[nodiscard]] Result<channel::SharedBytes> saved() const;

  ElasticEnd& end_;
  channel::MovableEnd movable_;
  std::optional<Job> job_;  // not running yet
  Run run_ = Run::idle;
  std::shared_ptr<ElasticEnd> keep_;  // while posted
};

}  // namespace aloft::function
