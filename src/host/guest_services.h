// What the guest of one instance reaches of the world: the log of its caller, and the models its
// module was opened with.
//
// Lines go to the caller and to our own log with the session's and the call's number, and are
// bounded, so that a guest that prints without end fills neither a queue nor a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "channel/endpoint.h"
#include "host/metered_graph.h"
#include "inference/engine.h"
#include "ops/log.h"
#include "runtime/host_services.h"
#include <aloft/result.h>

namespace aloft::host {

// A loaded model under the name that the module's aloft::nn::Graph says.
struct NamedModel {
  std::string name;
  Digest digest;
  std::shared_ptr<inference::Graph> graph;
};

// Takes a line to the caller: the head of a function::GuestLog, valid during the call. Called on
// the instance's worker; lines that cannot go are dropped.
using SendLine = std::function<void(std::span<const std::byte> head)>;
// To the UE at the other end, which outlives what is given.
[[nodiscard]] SendLine lines_to(channel::Endpoint& endpoint);

// Thread rule: the instance's worker, except meter().computing().
class GuestServices final : public runtime::HostServices {
 public:
  // `turns` outlives it, and it outlives the instances that it serves.
  GuestServices(std::uint64_t session, ops::LogFields log_fields, SendLine send_line,
                InferenceTurns& turns, std::span<const NamedModel> models);

  // From here on the guest works for this call; 0: for none (it starts, a buffer is made).
  void begin(std::uint64_t call_id, TensorDigests digests);
  // What the guest's part of aloft said last on standard error about why it ended the call, e.g.
  // "call aborted: no detector"; empty if nothing.
  [[nodiscard]] const std::string& last_words() const { return last_words_; }
  // A line of ours about the call, as one of its standard error.
  void say(std::string line) { send(runtime::GuestStream::standard_error, std::move(line)); }
  [[nodiscard]] InferenceMeter& meter() { return meter_; }
  [[nodiscard]] const InferenceMeter& meter() const { return meter_; }

  void on_line(runtime::GuestStream stream, std::string_view line) override;
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view name) override;
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte> model) override;

 private:
  void send(runtime::GuestStream stream, std::string line);

  struct MeteredModel {
    std::string name;
    std::shared_ptr<inference::Graph> graph;
  };

  const std::uint64_t session_;
  const ops::LogFields log_fields_;
  const SendLine send_line_;
  InferenceMeter meter_;
  std::vector<MeteredModel> models_;
  std::uint64_t call_id_ = 0;
  std::size_t lines_ = 0;  // of this call
  std::string last_words_;
};

}  // namespace aloft::host
