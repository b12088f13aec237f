// TLS by OpenSSL, on a socket that does not block.
//
// What is written goes, up to 16 KiB a record, straight from the caller's buffers through the
// cipher into a buffer of records that are ready, and from there, some at a time, to the kernel: a
// call of the kernel costs as much as enciphering a record, but a peer that has the first records
// deciphers them while the next are enciphered. Small pieces (headers, heads, short bodies) are put
// together first, so that a small message is one record and one packet. Where the kernel takes no
// more, what is ready counts as written, and is flushed before anything else.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "channel/tls_impl.h"
#include "channel/transport.h"

namespace aloft::channel {
namespace {

constexpr std::size_t kRecord = 16 * 1024;  // bytes, the most that TLS puts into one
constexpr std::size_t kSmall = 2 * 1024;    // a piece up to this is worth copying
constexpr std::size_t kReady = 32 * 1024;   // of records, worth a call of the kernel

// The library's own way to a socket raises SIGPIPE, and makes a call of the kernel a record.
struct Wire {
  int socket = -1;
  std::vector<char> ready;  // records for the kernel
  std::size_t sent = 0;     // bytes of them that it has
};

int wire_write(BIO* bio, const char* data, int size) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  wire.ready.insert(wire.ready.end(), data, data + size);
  return size;
}

int wire_read(BIO* bio, char* data, int size) {
  const auto& wire = *static_cast<const Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(wire.socket, data, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

long wire_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

// Made once; the library has no way to make it without one.
BIO_METHOD* wire_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "aloft link");
    BIO_meth_set_write(made, wire_write);
    BIO_meth_set_read(made, wire_read);
    BIO_meth_set_ctrl(made, wire_control);
    return made;
  }();
  return method;
}

class OpenSslTransport final : public TlsTransport {
 public:
  OpenSslTransport(int socket, const TlsContext& context, const std::string& host)
      : ssl_(SSL_new(context.impl().context)) {
    wire_.socket = socket;
    BIO* const bio = BIO_new(wire_method());
    BIO_set_data(bio, &wire_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    staged_.reserve(kRecord);
    if (!context.impl().connects) {
      SSL_set_accept_state(ssl_);
      return;
    }
    SSL_set_connect_state(ssl_);
    std::array<unsigned char, 16> number{};
    const bool is_number = ::inet_pton(AF_INET, host.c_str(), number.data()) == 1 ||
                           ::inet_pton(AF_INET6, host.c_str(), number.data()) == 1;
    if (is_number) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str());
    } else {
      SSL_set1_host(ssl_, host.c_str());
      SSL_set_tlsext_host_name(ssl_, host.c_str());
    }
  }
  ~OpenSslTransport() override { SSL_free(ssl_); }

  Step handshake() override {
    const std::lock_guard lock(mutex_);
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
    const bool goes_on = error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ;
    if (!goes_on) note_failure();
    // What the library has to say, also of its failure.
    const Then sent = send_ready(More::none);
    if (goes_on && sent == Then::empty) return Step::want_write;
    if (goes_on && sent == Then::full)
      return error == SSL_ERROR_NONE ? Step::done : Step::want_read;
    if (SSL_is_server(ssl_) != 0 && !speaks_tls_) {
      // The library says nothing to who speaks something else; the first byte of an alert
      // (protocol_version) tells a link in clear what it met.
      constexpr std::array<unsigned char, 7> kAlert{21, 3, 1, 0, 2, 2, 70};
      (void)::send(wire_.socket, kAlert.data(), kAlert.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return Step::failed;
  }

  Moved read(std::span<const iovec> places) override {
    const std::lock_guard lock(mutex_);
    Moved moved;
    if (lost_) return {0, Then::lost};
    for (const iovec& place : places) {
      for (std::size_t at = 0; at < place.iov_len;) {
        std::size_t count = 0;
        ERR_clear_error();
        const int result =
            SSL_read_ex(ssl_, static_cast<char*>(place.iov_base) + at, place.iov_len - at, &count);
        if (result == 1) {
          at += count;
          moved.bytes += count;
          continue;
        }
        switch (SSL_get_error(ssl_, result)) {
          case SSL_ERROR_WANT_READ:
          case SSL_ERROR_WANT_WRITE: moved.then = Then::empty; break;
          case SSL_ERROR_ZERO_RETURN: moved.then = Then::ended; break;
          default: note_failure(); moved.then = Then::lost;
        }
        // The library may have an answer, or an alert; a failure to send it is met by writing.
        if (!wire_.ready.empty()) (void)send_ready(More::none);
        return moved;
      }
    }
    return moved;
  }

  Moved write(std::span<const iovec> pieces) override {
    const std::lock_guard lock(mutex_);
    Moved moved{0, send_ready(More::none)};
    if (moved.then != Then::full) return moved;
    std::size_t left = 0;
    for (const iovec& piece : pieces) left += piece.iov_len;
    const auto put = [&](const void* data, std::size_t size) {
      left -= size;
      moved.then = write_record(data, size);
      if (moved.then == Then::lost) return false;
      moved.bytes += size;
      if (left == 0 || wire_.ready.size() >= kReady)
        moved.then = send_ready(left == 0 ? More::none : More::follows);
      return moved.then == Then::full;
    };
    const auto put_staged = [&] {
      if (staged_.empty()) return true;
      const bool full = put(staged_.data(), staged_.size());
      staged_.clear();
      return full;
    };
    for (const iovec& piece : pieces) {
      const auto* const data = static_cast<const char*>(piece.iov_base);
      if (piece.iov_len <= kSmall) {
        if (staged_.size() + piece.iov_len > kRecord && !put_staged()) return moved;
        staged_.insert(staged_.end(), data, data + piece.iov_len);
        continue;
      }
      if (!put_staged()) return moved;
      for (std::size_t at = 0; at < piece.iov_len;) {
        const std::size_t size = std::min(kRecord, piece.iov_len - at);
        if (!put(data + at, size)) return moved;
        at += size;
      }
    }
    (void)put_staged();
    return moved;
  }

  Then flush() override {
    const std::lock_guard lock(mutex_);
    return send_ready(More::none);
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    if (wire_.ready.empty() && !lost_) {
      (void)SSL_shutdown(ssl_);
      (void)send_ready(More::none);
    }
    (void)::shutdown(wire_.socket, SHUT_WR);
  }
  [[nodiscard]] std::string why() const override {
    const std::lock_guard lock(mutex_);
    return failure_.message;
  }
  [[nodiscard]] Error failure() const override {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

  [[nodiscard]] std::optional<Digest> peer_key() const override {
    const std::lock_guard lock(mutex_);
    const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(ssl_),
                                                            &X509_free);
    unsigned char* bytes = nullptr;
    const int size = shown ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(shown.get()), &bytes) : 0;
    if (size <= 0) return std::nullopt;
    const Digest digest = sha256(std::as_bytes(std::span(bytes, static_cast<std::size_t>(size))));
    OPENSSL_free(bytes);
    return digest;
  }

 private:
  // One record, which is ready then.
  Then write_record(const void* data, std::size_t size) {
    std::size_t count = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_, data, size, &count) == 1) return Then::full;
    note_failure();
    return Then::lost;
  }
  // `full`: the kernel has all that was ready. It may wait for what follows.
  enum class More { none, follows };
  Then send_ready(More more) {
    while (wire_.sent < wire_.ready.size()) {
      const ssize_t count =
          ::send(wire_.socket, wire_.ready.data() + wire_.sent, wire_.ready.size() - wire_.sent,
                 MSG_NOSIGNAL | MSG_DONTWAIT | (more == More::follows ? MSG_MORE : 0));
      if (count >= 0) {
        wire_.sent += static_cast<std::size_t>(count);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return Then::empty;
      } else if (errno != EINTR) {
        ERR_clear_error();
        note_failure();
        wire_.ready.clear();
        wire_.sent = 0;
      }
    }
    wire_.ready.clear();
    wire_.sent = 0;
    return lost_ ? Then::lost : Then::full;
  }
  void note_failure() {
    if (std::exchange(lost_, true)) return;
    const int system = errno;
    const unsigned long code = ERR_peek_error();
    const long verified = SSL_get_verify_result(ssl_);
    failure_ = {Errc::protocol, "TLS: "};
    if (code == 0) {
      failure_ = {Errc::unreachable,
                  "TLS: the connection was lost: " + std::string(std::strerror(system))};
    } else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      failure_ = {Errc::unreachable, "TLS: the connection was cut off without TLS's own end"};
    } else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      failure_.message += "the peer's certificate is not trusted: ";
      failure_.message += X509_verify_cert_error_string(verified);
    } else if (ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
      failure_.message += "the peer shows no certificate, and one is asked for";
    } else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ||
               ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST ||
               ERR_GET_REASON(code) == SSL_R_PACKET_LENGTH_TOO_LONG) {
      failure_.message += "the peer does not speak it";
      speaks_tls_ = false;
    } else {
      const char* const reason = ERR_reason_error_string(code);
      failure_.message += reason != nullptr ? reason : "an error without a name";
    }
    ERR_clear_error();
  }

  mutable std::mutex mutex_;  // of the library's object, which two threads must not use at a time
  SSL* ssl_;
  Wire wire_;
  std::vector<char> staged_;
  bool lost_ = false;
  bool speaks_tls_ = true;  // the peer, as far as it has shown
  Error failure_;
};

}  // namespace

std::unique_ptr<TlsTransport> tls_transport(int socket, const TlsContext& context,
                                            const std::string& host) {
  return std::make_unique<OpenSslTransport>(socket, context, host);
}

}  // namespace aloft::channel
