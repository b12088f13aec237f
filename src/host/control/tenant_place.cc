#include "host/control/tenant_place.h"

#include <array>
#include <fstream>
#include <utility>

#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/ids.h"
#include "host/control/host_modules.h"
#include "host/tenant_worker.h"

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

// For one that nobody took and that is told to end.
constexpr std::chrono::milliseconds kEndLimit{1000};

// The one process that a handler's first one has started; -1: none, or it cannot be read.
pid_t child_of(pid_t process) {
  const std::string name = std::to_string(process);
  pid_t child = -1;
  std::ifstream("/proc/" + name + "/task/" + name + "/children") >> child;
  return child;
}

}  // namespace

PlaceNumbers::Claim PlaceNumbers::claim(std::shared_ptr<PlaceNumbers> of) {
  std::uint32_t number = 0;
  {
    const std::lock_guard lock(of->mutex_);
    while (!of->taken_.insert(number).second) ++number;
  }
  return {std::move(of), number};
}

PlaceNumbers::Claim::Claim(std::shared_ptr<PlaceNumbers> of, std::uint32_t number)
    : of_(std::move(of)), number_(number) {}
PlaceNumbers::Claim::Claim(Claim&& other) noexcept
    : of_(std::exchange(other.of_, nullptr)), number_(other.number_) {}
PlaceNumbers::Claim::~Claim() {
  if (of_ == nullptr) return;
  const std::lock_guard lock(of_->mutex_);
  of_->taken_.erase(number_);
}

Result<std::unique_ptr<TenantPlace>> TenantPlace::make(TenantPlaceOptions options,
                                                       PlaceNumbers::Claim number) {
  auto socket = ListeningSocket::open(options.listen);
  if (!socket) return std::unexpected(std::move(socket).error());
  options.setup.boot_id = random_hex();
  if (::RAND_bytes(reinterpret_cast<unsigned char*>(options.setup.resume_key.data()),
                   static_cast<int>(options.setup.resume_key.size())) != 1)
    return fail(Errc::internal, "no random numbers for a key");
  std::unique_ptr<TenantPlace> place(
      new TenantPlace(std::move(options), *std::move(socket), std::move(number)));
  if (auto made = place->make_folders(); !made) return std::unexpected(std::move(made).error());
  auto first = place->start_handler(place->options_.setup.inference_process);
  if (!first) return std::unexpected(std::move(first).error());
  place->first_ = *std::move(first);
  return place;
}

TenantPlace::TenantPlace(TenantPlaceOptions options, ListeningSocket socket,
                         PlaceNumbers::Claim number)
    : number_(std::move(number)),
      options_(std::move(options)),
      socket_(std::move(socket)),
      cgroup_(Cgroup::make(options_.cgroup)) {}

TenantPlace::~TenantPlace() {
  if (first_ != nullptr) {
    // By itself, as the control group can only be removed once all in it have ended.
    (void)first_->link.send(End{});
    (void)first_->child.wait(kEndLimit);
    first_.reset();
  }
  std::error_code ignored;
  fs::remove_all(options_.folder, ignored);
}

Result<void> TenantPlace::make_folders() {
  TenantSetup& setup = options_.setup;
  setup.modules = options_.folder / "modules";
  setup.compiled = options_.folder / "compiled";
  setup.root = options_.folder / "root";
  std::error_code error;
  fs::remove_all(options_.folder, error);
  fs::create_directories(setup.root, error);
  if (error) {
    return fail(Errc::internal, "cannot make " + options_.folder.string() + ": " + error.message());
  }
  return make_shown_folders(setup.modules, setup.compiled, setup.user);
}

Result<std::unique_ptr<ReadyHandler>> TenantPlace::start_handler(
    const std::string& inference_process) {
  auto pair = wire::make_packet_sockets();
  if (!pair) return std::unexpected(std::move(pair).error());
  const int listening = socket_.duplicate();
  const std::array<Child::Descriptor, 2> descriptors{
      {{pair->other.get(), kLinkDescriptor}, {listening, kSocketDescriptor}}};
  // It logs as much as this process does. The last argument has room for the longest name: the
  // handler writes its tenant's there.
  const auto level = spdlog::level::to_string_view(spdlog::get_level());
  auto child = Child::start(options_.program,
                            {"--log",
                             {level.data(), level.size()},
                             std::string(ops::to_string(options_.log_format)),
                             "--tenant",
                             std::string(kLongestTenant, '-')},
                            descriptors);
  pair->other = {};  // that it has ended is seen at the line
  ::close(listening);
  if (!child) return std::unexpected(std::move(child).error());
  auto handler =
      std::make_unique<ReadyHandler>(*std::move(child), TenantLink(std::move(pair->one)));
  // It waits for its setup, so that all that it does is counted.
  if (auto added = cgroup_.add(handler->child.pid()); !added) {
    // A control group that is there but closed to this process is as good as none.
    spdlog::warn("{}", added.error().message);
  }
  TenantSetup setup = options_.setup;
  setup.inference_process = inference_process;
  if (auto sent = handler->link.send(setup); !sent) return std::unexpected(sent.error());
  if (auto ready = wait_until_ready(*handler); !ready) return std::unexpected(ready.error());
  handler->pid = child_of(handler->child.pid());
  return handler;
}

Result<void> TenantPlace::wait_until_ready(ReadyHandler& handler) const {
  auto first = handler.link.receive_within(options_.start_limit);
  if (first) {
    if (auto* const ready = std::get_if<Ready>(&first->message)) {
      handler.missing = std::move(ready->missing);
      return {};
    }
    if (auto* const failed = std::get_if<Failed>(&first->message))
      return fail(Errc::refused, "an Execution Handler cannot start: " + failed->why);
  } else if (first.error().code == Errc::deadline_exceeded) {
    return fail(Errc::deadline_exceeded, "an Execution Handler is not ready after " +
                                             std::to_string(options_.start_limit.count()) + " ms");
  }
  return fail(Errc::internal, "an Execution Handler ended before it was ready");
}

}  // namespace aloft::host
