#include "support/raw_ue.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/digest.h"
#include "host/testing/hellos.h"
#include "support/temp_dir.h"

namespace aloft::testing {

ModuleFile::ModuleFile(const std::filesystem::path& path) {
  const auto bytes = read_file(path);
  const auto read = runtime::read_manifest(bytes);
  if (!read || !*read) {
    std::fprintf(stderr, "test support: %s is no sealed module\n", path.c_str());
    std::abort();
  }
  manifest = **read;
  digest = "sha256:" + sha256(bytes).hex();
}

std::uint32_t ModuleFile::index_of(std::string_view function) const {
  const auto found =
      std::ranges::find(manifest.functions, function, &runtime::Manifest::Function::name);
  if (found == manifest.functions.end()) {
    std::fprintf(stderr, "test support: no function %s in module %s\n",
                 std::string(function).c_str(), manifest.module.c_str());
    std::abort();
  }
  return static_cast<std::uint32_t>(found - manifest.functions.begin());
}

std::optional<Errc> RawUe::Answer::error() const {
  if (!head.error) return std::nullopt;
  return head.error->code;
}

RawUe::RawUe(const net::Address& address, channel::EndpointOptions link) {
  if (link.hello.empty()) link.hello = host::testing::plain_hello();
  link.receive = channel::CreditRule::not_required;
  const std::lock_guard lock(mutex_);
  endpoint_ = channel::connect_tcp(io_, address, std::move(link), *this);
}

RawUe::~RawUe() { endpoint_.reset(); }

bool RawUe::wait_up(Limit limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return up_; });
}

std::vector<std::byte> RawUe::edge_hello() const {
  const std::lock_guard lock(mutex_);
  return edge_hello_;
}

std::optional<Error> RawUe::wait_down(Limit limit) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, limit, [this] { return downs_.size() > downs_told_; }))
    return std::nullopt;
  return downs_[downs_told_++];
}

Result<RawUe::Module> RawUe::open(const ModuleFile& file, std::vector<TestModel> models,
                                  void (*change)(function::OpenModule&), Limit limit) {
  function::OpenModule request;
  request.name = file.manifest.module;
  request.digest = file.digest;
  request.concurrency = 2;
  for (const auto& function : file.manifest.functions) {
    request.functions.push_back({function.export_name, function.signature_hash});
  }
  std::unique_lock lock(mutex_);
  request.module_id = ++last_module_;
  for (TestModel& model : models) {
    const std::string digest = sha256(model.bytes).hex();
    request.models.push_back(
        {model.name, digest, model.said_size != 0 ? model.said_size : model.bytes.size()});
    models_[digest] = std::move(model.bytes);
  }
  if (change != nullptr) change(request);
  const std::uint32_t id = request.module_id;
  lock.unlock();
  const auto head = function::encode(request);
  if (auto sent = endpoint_->send({.stream = channel::kControlStream, .head = head, .body = {}});
      !sent) {
    return std::unexpected(sent.error());
  }
  lock.lock();
  const bool answered =
      changed_.wait_for(lock, limit, [&] { return opened_.contains(id) || !up_; });
  if (!answered) return fail(Errc::deadline_exceeded, "the edge did not answer OpenModule");
  if (!opened_.contains(id)) return std::unexpected(downs_.back());
  if (const auto* refused = std::get_if<function::ModuleRefused>(&opened_[id]))
    return std::unexpected(refused->why);
  const auto& opened = std::get<function::ModuleOpened>(opened_[id]);
  return Module{id, &file, opened.call_streams, opened.engine, opened.inference};
}

std::size_t RawUe::models_wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_count_;
}

Result<channel::StreamId> RawUe::take_stream(const Module& module, std::uint64_t size,
                                             Limit limit) {
  std::unique_lock lock(mutex_);
  channel::StreamId stream = 0;
  const auto has_free_stream = [&] {
    for (const channel::StreamId id : module.streams) {
      if (streams_[id].credit && !streams_[id].call) stream = id;
      if (stream != 0) return true;
    }
    return !up_;
  };
  if (!changed_.wait_for(lock, limit, has_free_stream))
    return fail(Errc::deadline_exceeded, "no free call stream");
  if (stream == 0) return std::unexpected(downs_.back());
  Stream& at = streams_[stream];
  if (*at.credit < size) {
    at.credit.reset();
    at.reset.reset();
    const auto head = function::encode(function::NeedCapacity{module.id, size});
    lock.unlock();
    if (auto sent = endpoint_->send({.stream = stream, .head = head, .body = {}}); !sent) {
      return std::unexpected(sent.error());
    }
    lock.lock();
    if (!changed_.wait_for(lock, limit, [&] { return at.credit || !up_; })) {
      return fail(Errc::deadline_exceeded, "the buffer was not grown");
    }
    if (at.reset) return std::unexpected(*at.reset);
    if (!at.credit) return std::unexpected(downs_.back());
  }
  at.credit.reset();
  at.call = 0;
  return stream;
}

Result<std::uint64_t> RawUe::start(const Module& module, std::string_view function,
                                   std::vector<std::byte> bytes, RawCallOptions options) {
  const std::uint64_t needed = std::max<std::uint64_t>(bytes.size(), options.argument_bytes);
  auto stream = take_stream(module, options.room != 0 ? options.room : needed, options.limit);
  if (!stream) return std::unexpected(stream.error());
  std::unique_lock lock(mutex_);
  const std::uint64_t id = ++last_call_;
  streams_[*stream].call = id;
  const std::vector<std::byte>& kept = arguments_[id] = std::move(bytes);
  const std::span<const std::byte> segment(kept);
  lock.unlock();
  const auto head = function::encode(
      function::Call{.call_id = id,
                     .module_id = module.id,
                     .function = module.file->index_of(function),
                     .deadline_us = static_cast<std::uint64_t>(options.deadline.count()),
                     .digest_tensors = options.digest_tensors,
                     .argument_bytes = options.argument_bytes,
                     .pictures = std::move(options.pictures)});
  if (auto sent =
          endpoint_->send({.stream = *stream, .head = head, .body = {&segment, 1}, .token = id});
      !sent) {
    return std::unexpected(sent.error());
  }
  return id;
}

RawUe::Answer RawUe::wait(std::uint64_t call, Limit limit) {
  std::unique_lock lock(mutex_);
  const auto answered = [&] { return answers_.contains(call) || !up_; };
  Answer none;
  none.head.call_id = call;
  if (!changed_.wait_for(lock, limit, answered)) {
    none.head.error = Error{Errc::deadline_exceeded, "the edge did not answer the call"};
    return none;
  }
  if (const auto found = answers_.find(call); found != answers_.end()) return found->second;
  none.head.error = downs_.back();
  return none;
}

RawUe::Answer RawUe::call(const Module& module, std::string_view function,
                          std::vector<std::byte> bytes, RawCallOptions options) {
  const auto started = start(module, function, std::move(bytes), options);
  if (started) return wait(*started, options.limit);
  Answer none;
  none.head.error = started.error();
  return none;
}

void RawUe::cancel(std::uint64_t call) {
  const auto head = function::encode(function::CancelCall{call});
  (void)endpoint_->send({.stream = channel::kControlStream, .head = head, .body = {}});
}

std::vector<function::GuestLog> RawUe::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

// --- I/O thread ------------------------------------------------------------------------

Result<std::span<std::byte>> RawUe::on_message_begin(channel::StreamId stream,
                                                     std::span<const std::byte> head,
                                                     std::uint64_t body_size) {
  auto message = function::decode(head);
  if (!message) return std::unexpected(message.error());
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  if (const auto* line = std::get_if<function::GuestLog>(&*message)) {
    log_.push_back(*line);
  } else if (const auto* opened = std::get_if<function::ModuleOpened>(&*message)) {
    opened_[opened->module_id] = *message;
  } else if (const auto* refused = std::get_if<function::ModuleRefused>(&*message)) {
    opened_[refused->module_id] = *message;
  } else if (const auto* wanted = std::get_if<function::ModelWanted>(&*message)) {
    wanted_[wanted->stream] = wanted->sha256;
    ++wanted_count_;
  } else if (const auto* returned = std::get_if<function::Return>(&*message)) {
    Stream& at = streams_[stream];
    at.head = *returned;
    at.body.resize(body_size);
    return std::span(at.body);
  } else {
    return fail(Errc::protocol, "a message that an edge does not send");
  }
  return std::span<std::byte>{};
}

void RawUe::on_message_end(channel::StreamId stream) {
  const std::lock_guard lock(mutex_);
  if (stream == channel::kControlStream) return;
  Stream& at = streams_[stream];
  answers_[at.head.call_id] = {at.head, std::exchange(at.body, {})};
  at.call.reset();
  changed_.notify_all();
}

void RawUe::on_message_abandoned(channel::StreamId, const Error&) {}

void RawUe::on_credit(channel::StreamId stream, std::uint64_t capacity) {
  std::unique_lock lock(mutex_);
  const auto wanted = wanted_.find(stream);
  if (wanted == wanted_.end()) {
    streams_[stream].credit = capacity;
    changed_.notify_all();
    return;
  }
  const std::string sha256 = std::exchange(wanted->second, {});
  wanted_.erase(wanted);
  const std::span<const std::byte> bytes(models_[sha256]);  // kept for the life of this UE
  lock.unlock();
  const auto head = function::encode(function::ModelBytes{sha256});
  if (auto sent = endpoint_->send({.stream = stream, .head = head, .body = {&bytes, 1}}); !sent) {
    // More than the edge was promised: a peer that does not keep to the rules would send what it
    // may.
    endpoint_->reset(stream, sent.error());
  }
}

void RawUe::on_reset(channel::StreamId stream, const Error& why) {
  const std::lock_guard lock(mutex_);
  Stream& at = streams_[stream];
  at.reset = why;
  if (at.call) {
    Answer answer;
    answer.head.call_id = *at.call;
    answer.head.error = why;
    answers_[*at.call] = std::move(answer);
    at.call.reset();
  }
  changed_.notify_all();
}

void RawUe::on_sent(channel::StreamId, std::uint64_t token, const Result<void>&) {
  const std::lock_guard lock(mutex_);
  arguments_.erase(token);
}

void RawUe::on_up(std::span<const std::byte> edge_hello) {
  const std::lock_guard lock(mutex_);
  edge_hello_.assign(edge_hello.begin(), edge_hello.end());
  up_ = true;
  changed_.notify_all();
}

void RawUe::on_down(const Error& why, std::chrono::steady_clock::time_point) {
  const std::lock_guard lock(mutex_);
  up_ = false;
  streams_.clear();
  wanted_.clear();
  downs_.push_back(why);
  changed_.notify_all();
}

}  // namespace aloft::testing
