// What a translated guest reaches of the world, as GuestServices is at an edge: the log of the
// runtime whose call it serves, and that runtime's models.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/host_services.h"
#include <aloft/result.h>

namespace aloft::device {

// Thread rule: the thread that calls into the guest.
class HomeServices final : public runtime::HostServices {
 public:
  // From here on the guest works for a call of this function, which outlives the call.
  void begin(std::string_view function);
  // What the guest's part of aloft said last on standard error about why it ended the call, e.g.
  // "call aborted: no detector"; empty if nothing.
  [[nodiscard]] const std::string& last_words() const { return last_words_; }

  // To the log of the runtime whose call this is; without one to standard output and error, where
  // the lines of a native function go.
  void on_line(runtime::GuestStream stream, std::string_view line) override;
  Result<std::shared_ptr<inference::Graph>> graph_by_name(std::string_view name) override;
  Result<std::shared_ptr<inference::Graph>> load_graph(std::span<const std::byte> model) override;

 private:
  std::string_view function_;
  std::string last_words_;
};

}  // namespace aloft::device
