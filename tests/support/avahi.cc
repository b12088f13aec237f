#include "support/avahi.h"

#include <span>
#include <utility>

#include <gtest/gtest.h>

#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 30s;

void write_text(const std::filesystem::path& file, const std::string& text) {
  write_file(file, std::as_bytes(std::span(text)));
}

}  // namespace

Avahi::Avahi(const Network& network, const std::string& host) : network_(network), host_(host) {
  const std::string socket = folder_ / "bus";
  bus_address_ = "unix:path=" + socket;
  write_text(folder_ / "bus.conf",
             R"(<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>)" + bus_address_ +
                 R"(</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*" eavesdrop="false"/>
  </policy>
</busconfig>
)");
  write_text(folder_ / "avahi.conf", "[server]\nhost-name=" + host +
                                         "\nuse-ipv4=yes\nuse-ipv6=no\nenable-dbus=yes\n"
                                         "[wide-area]\nenable-wide-area=no\n"
                                         "[publish]\npublish-hinfo=no\npublish-workstation=no\n");
  auto bus = Process::start({"dbus-daemon", "--config-file=" + std::string(folder_ / "bus.conf"),
                             "--nofork", "--print-address"});
  if (!bus || !bus->wait_for_line("unix:path=", kPatience)) {
    ADD_FAILURE() << (bus ? bus->transcript() : bus.error().message);
    return;
  }
  bus_.emplace(*std::move(bus));
  start();
}

void Avahi::start() {
  const std::string programs = servers();
  // `ip netns exec` gives it mounts of its own: in these there is a /run for the file with the
  // number of its process, and a user of its name, without whom it does not start.
  const std::string program = programs +
                              "/avahi-daemon --file=" + std::string(folder_ / "avahi.conf") +
                              " --no-drop-root --no-chroot --no-rlimits --no-proc-title";
  auto daemon = Process::start(
      network_.command(
          host_,
          {"sh", "-c",
           "mount -t tmpfs none /run && mkdir /run/avahi-daemon && "
           "(cat /etc/passwd; echo avahi:x:65533:65533::/:/bin/false) > /run/passwd && "
           "(cat /etc/group; echo avahi:x:65533:) > /run/group && "
           "mount --bind /run/passwd /etc/passwd && mount --bind /run/group /etc/group && exec " +
               program}),
      {.environment = {{"DBUS_SYSTEM_BUS_ADDRESS", bus_address_},
                       {"LD_LIBRARY_PATH", programs + "/lib"}}});
  if (!daemon || !daemon->wait_for_error("Server startup complete", kPatience)) {
    ADD_FAILURE() << (daemon ? daemon->transcript() : daemon.error().message);
    return;
  }
  daemon_.emplace(*std::move(daemon));
}

void Avahi::restart() {
  if (daemon_) {
    daemon_->kill();
    (void)daemon_->wait(kPatience);
  }
  daemon_.reset();
  start();
}

std::string Avahi::transcript() const { return daemon_ ? daemon_->transcript() : std::string(); }

}  // namespace aloft::testing
