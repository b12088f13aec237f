// For those who operate a manager or a host, over plain HTTP, on an address that only they reach:
//   /metrics   what is counted, in Prometheus' text format
//   /healthz   200: the process works
//   /readyz    200: it can serve; 503: not now (the text says why)
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <aloft/result.h>

namespace aloft::ops {

struct OpsAnswers {
  std::function<std::string()> metrics;
  std::function<Result<void>()> ready;
};

// Thread rule: any thread; `OpsAnswers` are asked on a thread of the server's.
class OpsServer {
 public:
  // Listens on HOST:PORT, an IP address; port 0 takes a free one. Errors: invalid_argument (no such
  // address), unreachable (it is taken, or is not this machine's).
  [[nodiscard]] static Result<std::unique_ptr<OpsServer>> listen(const std::string& address,
                                                                 OpsAnswers answers);
  ~OpsServer();
  OpsServer(const OpsServer&) = delete;
  OpsServer& operator=(const OpsServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct Impl;
  explicit OpsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::ops
