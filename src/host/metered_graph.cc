#include "host/metered_graph.h"

#include <utility>

namespace aloft::host {

using Clock = std::chrono::steady_clock;

void InferenceMeter::begin(TensorDigests digests) {
  const std::lock_guard lock(mutex_);
  digests_ = digests;
  reading_ = {};
}

InferenceMeter::Reading InferenceMeter::end() {
  const std::lock_guard lock(mutex_);
  return std::exchange(reading_, {});
}

std::optional<Digest> InferenceMeter::computing() const {
  const std::lock_guard lock(mutex_);
  return computing_;
}

TensorDigests InferenceMeter::wanted() const {
  const std::lock_guard lock(mutex_);
  return digests_;
}

void InferenceMeter::add_digest(std::string digest) {
  const std::lock_guard lock(mutex_);
  reading_.digests.push_back(std::move(digest));
}

void InferenceMeter::start(const Digest& model) {
  const std::lock_guard lock(mutex_);
  computing_ = model;
}

void InferenceMeter::stop(std::chrono::nanoseconds time) {
  const std::lock_guard lock(mutex_);
  computing_.reset();
  reading_.time += time;
}

// The completion of a compute() is called exactly once: by the cancel() that withdrew it while it
// waited for its turn, by on_turn() when a cancel() came just before, else by the engine. `mutex_`
// orders on_turn() and cancel(): either the first sees that the second was here, or the engine has
// been handed the inference before it is told to cancel it.
class MeteredExecution final : public inference::Execution, private TurnTaker {
 public:
  MeteredExecution(std::unique_ptr<inference::Execution> inner, std::size_t inputs,
                   const Digest& model, InferenceTurns& turns, InferenceMeter& meter)
      : inner_(std::move(inner)), inputs_(inputs), model_(model), turns_(turns), meter_(meter) {}

  // cancel() takes the mutex, and with it waits for an on_turn() that is about to return; the inner
  // execution's destructor waits for the engine, while all that its completion needs is still
  // there.
  ~MeteredExecution() override {
    MeteredExecution::cancel();
    inner_.reset();
  }

  Result<void> set_input(std::uint32_t index, const inference::TensorView& tensor) override {
    auto set = inner_->set_input(index, tensor);
    if (set) inputs_[index] = tensor.data;
    return set;
  }

  void compute(inference::Completion done) override {
    if (meter_.wanted() == TensorDigests::yes) {
      for (const auto& input : inputs_) meter_.add_digest(sha256(input).hex());
    }
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = false;
      done_ = std::move(done);
      started_ = Clock::now();
    }
    turns_.enter(*this);
  }

  void cancel() override {
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    if (turns_.withdraw(*this) == InferenceTurns::Withdrawn::yes) {
      complete(fail(Errc::cancelled, "the inference was cancelled before it started"));
    } else {
      inner_->cancel();
    }
  }

  Result<inference::TensorView> output(std::uint32_t index) const override {
    return inner_->output(index);
  }

 private:
  void on_turn() override {
    {
      const std::lock_guard lock(mutex_);
      if (!cancelled_) {
        meter_.start(model_);
        inner_->compute([this](Result<void> outcome) {
          turns_.leave();
          complete(std::move(outcome));
        });
        return;
      }
    }
    turns_.leave();
    complete(fail(Errc::cancelled, "the inference was cancelled before it started"));
  }

  void complete(Result<void> outcome) {
    meter_.stop(Clock::now() - started_);
    const inference::Completion done = std::exchange(done_, nullptr);
    done(std::move(outcome));  // the owner may compute() again in here
  }

  std::unique_ptr<inference::Execution> inner_;
  std::vector<std::span<const std::byte>> inputs_;
  const Digest model_;
  InferenceTurns& turns_;
  InferenceMeter& meter_;
  std::mutex mutex_;
  bool cancelled_ = false;
  inference::Completion done_;
  Clock::time_point started_;
};

namespace {

class MeteredGraph final : public inference::Graph {
 public:
  MeteredGraph(std::shared_ptr<inference::Graph> inner, const Digest& digest, InferenceTurns& turns,
               InferenceMeter& meter)
      : inner_(std::move(inner)), digest_(digest), turns_(turns), meter_(meter) {}

  const std::vector<inference::TensorInfo>& inputs() const override { return inner_->inputs(); }
  const std::vector<inference::TensorInfo>& outputs() const override { return inner_->outputs(); }

  Result<std::unique_ptr<inference::Execution>> make_execution() override {
    auto inner = inner_->make_execution();
    if (!inner) return std::unexpected(inner.error());
    return std::make_unique<MeteredExecution>(*std::move(inner), inputs().size(), digest_, turns_,
                                              meter_);
  }

 private:
  const std::shared_ptr<inference::Graph> inner_;
  const Digest digest_;
  InferenceTurns& turns_;
  InferenceMeter& meter_;
};

}  // namespace

std::shared_ptr<inference::Graph> make_metered_graph(std::shared_ptr<inference::Graph> graph,
                                                     const Digest& digest, InferenceTurns& turns,
                                                     InferenceMeter& meter) {
  return std::make_shared<MeteredGraph>(std::move(graph), digest, turns, meter);
}

}  // namespace aloft::host
