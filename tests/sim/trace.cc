#include "trace.h"

#include <string>
#include <variant>

#include <aloft/result.h>

namespace aloft::sim {
namespace {

struct Words {
  static std::string blocks(const channel::StateBlocks& state) {
    return "version " + std::to_string(state.version) + " base " + std::to_string(state.base) +
           " at " + std::to_string(state.at) + ", " + std::to_string(state.blocks.size()) +
           " blocks of " + std::to_string(state.size) + " bytes";
  }
  std::string operator()(const channel::Attach& m) const {
    return m.resume ? "Attach, resume, answered " + std::to_string(m.answered) : "Attach";
  }
  std::string operator()(const channel::Install& m) const {
    return "Install " + blocks(m.state) + (m.final ? ", final" : "");
  }
  std::string operator()(const channel::Deliver& m) const {
    return "Deliver " + std::to_string(m.sequence) + ", answered " + std::to_string(m.answered);
  }
  std::string operator()(const channel::Acknowledge& m) const {
    return "Acknowledge " + std::to_string(m.answered);
  }
  std::string operator()(const channel::SnapshotWanted& m) const {
    return "SnapshotWanted since " + std::to_string(m.base);
  }
  std::string operator()(const channel::Detach&) const { return "Detach"; }
  std::string operator()(const channel::Attached& m) const {
    return m.known ? "Attached, known, received " + std::to_string(m.received) : "Attached";
  }
  std::string operator()(const channel::Installed& m) const {
    return "Installed " + std::to_string(m.version) + (m.final ? ", final" : "");
  }
  std::string operator()(const channel::Answer& m) const {
    return "Answer " + std::to_string(m.sequence) +
           (m.error ? ", " + std::string(to_string(m.error->code)) : "");
  }
  std::string operator()(const channel::State& m) const { return "State " + blocks(m.state); }
  std::string operator()(const channel::Lost& m) const {
    return "Lost, " + std::string(to_string(m.why.code)) + " (" + m.why.message + ")";
  }
};

}  // namespace

void Trace::message(Time now, std::string_view arrow, std::uint32_t place,
                    const channel::EndMessage& message) {
  fingerprint_ = mix(fingerprint_ ^ static_cast<std::uint64_t>(now.time_since_epoch().count()));
  fingerprint_ = mix(fingerprint_ ^ message.epoch ^ (std::uint64_t{place} << 32U));
  fingerprint_ = mix(fingerprint_ ^ message.content.index());
  if (out_ == nullptr) return;
  begin(now);
  *out_ << arrow << ' ' << place << "  e" << message.epoch << ' '
        << std::visit(Words{}, message.content) << '\n';
}

}  // namespace aloft::sim
