// One request for an inference, from its packet to its answer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "inference/remote/messages.h"
#include "inference/remote/shared_memory.h"
#include "inference/service/served_model.h"
#include "wire/packet_socket.h"

namespace aloft::inference::service {

// A client's socket, as long as anybody has something to send to it.
class ClientLine {
 public:
  explicit ClientLine(wire::Descriptor socket) : socket_(std::move(socket)) {}
  [[nodiscard]] int socket() const { return socket_.get(); }
  // A client that does not read is given up.
  void send(const remote::Message& message, int descriptor = -1);
  void end();

 private:
  const wire::Descriptor socket_;
};

struct ClientMemory {
  SharedMemory shared;
  std::atomic<bool> in_use = false;  // by a job, until it was answered
};

struct Job {
  std::string tenant;
  std::shared_ptr<ClientLine> line;
  std::shared_ptr<ServedModel> model;
  std::shared_ptr<ClientMemory> memory;
  remote::Compute request;                        // checked; nobody can change it any more
  std::vector<std::vector<std::uint32_t>> shape;  // of the inputs
  std::chrono::steady_clock::time_point arrived;
  std::atomic<bool> cancelled = false;
};

}  // namespace aloft::inference::service
