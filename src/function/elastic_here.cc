#include "function/elastic_here.h"

#include "function/binding.h"

namespace aloft::function {

using channel::SharedBytes;

channel::MovableEndOptions ElasticEnd::Here::options(const ElasticEnd& end, Begin begin) {
  channel::MovableEndOptions made;
  made.has_state = end.setup_.options.has_state;
  made.serves = begin == Begin::serving;
  return made;
}

void ElasticEnd::Here::begin(Job job) {
  job_ = std::move(job);
  // Without an object, attachments have nothing in common and run side by side.
  if (end_.setup_.object == nullptr) return post();
  go_on();
}

void ElasticEnd::Here::post() {
  run_ = Run::posted;
  keep_ = end_.shared_from_this();
  end_.places_->options().executor->post(*this);
}

void ElasticEnd::Here::run_here() {
  std::shared_ptr<ElasticEnd> keep;
  Job job;
  {
    const std::lock_guard lock(end_.mutex_);
    keep = std::move(keep_);
    job = *std::exchange(job_, std::nullopt);
    run_ = Run::running;
  }
  Result<SharedBytes> made = done(job);
  const Step step(end_);
  run_ = Run::idle;
  switch (job.kind) {
    // A native object outlives a method that fails, as any object of this program.
    case Job::Kind::execute: movable_.executed(std::move(made), true); break;
    case Job::Kind::save: movable_.saved(std::move(made)); break;
    case Job::Kind::load:
      movable_.loaded(made ? Result<void>() : std::unexpected(std::move(made.error())));
      break;
  }
  for (const auto& here : end_.here_) here->go_on();
  end_.changed_.notify_all();
}

Result<SharedBytes> ElasticEnd::Here::done(const Job& job) const {
  const inference::GraphScope graphs(*end_.places_->options().graphs);
  const InPlaceScope in_place;
  switch (job.kind) {
    case Job::Kind::execute: return run(job);
    case Job::Kind::save: return saved();
    case Job::Kind::load: break;
  }
  if (auto loaded = end_.setup_.object->load(*job.body); !loaded)
    return std::unexpected(std::move(loaded.error()));
  return SharedBytes();
}

Result<SharedBytes> ElasticEnd::Here::run(const Job& job) const {
  const auto functions = end_.setup_.module->functions;
  if (job.method >= functions.size())
    return fail(Errc::not_found, "the module has no such function here");
  if (functions[job.method].run_encoded == nullptr) {
    return fail(Errc::refused, std::string(functions[job.method].qualified_name) +
                                   " has no native version: move it to an edge");
  }
  detail::NativeObject* const object = end_.setup_.object;
  auto result = functions[job.method].run_encoded(
      object == nullptr ? functions[job.method].context : object->object(), *job.body);
  if (!result) return std::unexpected(std::move(result.error()));
  return std::make_shared<const channel::Bytes>(*std::move(result));
}

Result<SharedBytes> ElasticEnd::Here::saved() const {
  codec::Writer writer;
  end_.setup_.object->save(writer);
  if (!writer.ok()) return fail(Errc::resource_exhausted, "the state is too long to be encoded");
  auto bytes = std::make_shared<channel::Bytes>();
  bytes->reserve(writer.size());
  for (const auto segment : writer.segments())
    bytes->insert(bytes->end(), segment.begin(), segment.end());
  return bytes;
}

}  // namespace aloft::function
