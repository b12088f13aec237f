// Who this end of a link is to its peer, and whom it trusts: TLS 1.3, nothing older, nothing else.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <aloft/result.h>

namespace aloft::channel {

// PEM files.
struct TlsFiles {
  std::filesystem::path certificate{};  // this end's, with those up to the authority's behind it
  std::filesystem::path key{};          // its private key
  std::filesystem::path authority{};    // whose certificates this end trusts
};

// The same as texts.
struct TlsTexts {
  std::string certificate{};
  std::string key{};
  std::string authority{};
};

// Thread rule: immutable.
class TlsContext {
 public:
  // Whom a side that listens takes.
  enum class Clients {
    of_authority,  // with an authority, those that show a certificate of it; without one, all
    with_a_key,    // who show a certificate, whoever made it, and have its private key; their owner
                   // knows them by that key alone (PeerInfo::key)
  };
  // A side that listens. It needs a certificate and a key. Errors: invalid_argument, not_found,
  // corrupt, each naming the file.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> server(
      const TlsFiles& files, Clients clients = Clients::of_authority);
  // The same, of what is in memory only. Errors: invalid_argument, corrupt.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> server_of(
      const TlsTexts& texts, Clients clients = Clients::of_authority);
  // A side that connects. It needs an authority, and takes only a peer that shows a certificate of
  // it for the host that was asked for; with a certificate and a key it shows them.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> client(const TlsFiles& files);
  // The same, of what is in memory only. Errors: invalid_argument, corrupt.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> client_of(const TlsTexts& texts);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  struct Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::channel
