// What a session with an Execution Handler is made of: where the edge is, what is opened there,
// what the link may do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "function/call_streams.h"
#include "function/end_links.h"
#include "function/model_uploads.h"
#include "net/address.h"
#include <aloft/detail/binding.h>

namespace aloft::function {

// A module to open at the edge.
struct ModuleToOpen {
  const ModuleDescriptor* module = nullptr;
  ModuleVersion version = 0;
  std::string digest;               // "sha256:..." of the .wasm that is asked for
  std::vector<std::string> graphs;  // names among SessionOptions::models
};

// Where a session's edge is at the moment, and what opens the door there.
struct Route {
  net::Address edge;
  std::shared_ptr<const channel::TlsContext> tls;  // null: in clear
  // Shown to the edge: the ticket at first, and what the edge gave for it when connecting again.
  std::string session;
  std::vector<std::byte> ticket;  // empty: none is asked for there
  // Module -> digest that is asked for there, where it is not the one that the session has.
  std::map<std::string, std::string, std::less<>> versions{};
};

struct SessionOptions {
  std::optional<net::Address> edge;  // none: idle until route()
  std::vector<ModuleToOpen> modules;
  std::vector<ModelFile> models;
  CallStreams::Limits limits;                    // for each module
  std::uint64_t max_reply = 256U * 1024 * 1024;  // bytes of a result; a larger one fails its call
  channel::EndpointOptions link;  // without hello and the receiver's rules, which are the session's
  // The link is up, ready, refused or gone: link_state() says which. From any thread, with a lock
  // held: must not block, nor call the session.
  std::function<void()> on_change{};
};

}  // namespace aloft::function
