// Streams of WatchSession: a device is told when its session is somewhere else, or over.
//
// A stream holds one message at most: what changes while that is on its way is told as it is then,
// so that a slow reader costs nothing. Renewals are not told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "aloft/v1/session.pb.h"
#include <aloft/result.h>

namespace aloft::cluster {

// Thread rule: any thread.
class SessionWatchers {
 public:
  // The session as its owner sees it now; none: there is no such session any more. In
  // STATE_UNSPECIFIED it is between two places, which is not told.
  using Look = std::function<std::optional<v1::Session>(const std::string& id)>;

  explicit SessionWatchers(Look look);
  // After end(), and after the server has gone.
  ~SessionWatchers();
  SessionWatchers(const SessionWatchers&) = delete;
  SessionWatchers& operator=(const SessionWatchers&) = delete;

  // A stream, gRPC's from now on, of which it is not known yet whether its caller may have it.
  // `decide` is called once, from any thread, when it is: with the session's id, or with why not.
  // Null: there are too many.
  struct Opened {
    grpc::ServerWriteReactor<v1::Session>* reactor = nullptr;
    std::function<void(const Result<std::string, grpc::Status>& id)> decide;
  };
  [[nodiscard]] Opened open();
  // The session may have changed.
  void tell(const std::string& id);
  // Ends all streams (UNAVAILABLE: another manager will do), and those to come.
  void end();
  [[nodiscard]] std::size_t size() const;

 private:
  class Stream;
  void decided(const std::shared_ptr<Stream>& stream, const Result<std::string, grpc::Status>& id);
  void closed(Stream* stream);

  const Look look_;
  mutable std::mutex mutex_;
  // By session; those that are not decided yet are under "".
  std::map<std::string, std::set<std::shared_ptr<Stream>>, std::less<>> streams_;
  std::size_t count_ = 0;
  bool ended_ = false;
};

}  // namespace aloft::cluster
