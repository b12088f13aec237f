#include "docker_registry.h"

#include <charconv>
#include <chrono>
#include <fstream>

#include "test_paths.h"

namespace aloft::testing {

using namespace std::chrono_literals;

Result<DockerRegistry> DockerRegistry::start(const std::filesystem::path& folder,
                                             const DockerRegistryOptions& options) {
  const auto data = folder / "data";
  const auto config = folder / "registry.yml";
  std::ofstream out(config);
  out << "version: 0.1\n"
      << "log: {level: info, accesslog: {disabled: true}}\n"
      << "storage: {filesystem: {rootdirectory: " << data << "}}\n"
      << "http:\n  addr: 127.0.0.1:" << options.port << "\n";
  if (!options.certificate.empty()) {
    out << "  tls: {certificate: " << options.certificate << ", key: " << options.key << "}\n";
  }
  if (!options.htpasswd.empty()) {
    std::ofstream(folder / "htpasswd") << options.htpasswd << '\n';
    out << "auth: {htpasswd: {realm: aloft, path: " << folder / "htpasswd" << "}}\n";
  }
  out.close();
  if (!out) return fail(Errc::internal, "cannot write " + config.string());

  auto process = Process::start({servers() / "docker-registry", "serve", config});
  if (!process) return std::unexpected(process.error());
  constexpr std::string_view kListening = "listening on 127.0.0.1:";
  if (!process->wait_for_error(kListening, 30s))
    return fail(Errc::internal, "the registry does not listen: " + process->transcript());
  // The line may not have been read to its end yet.
  for (;;) {
    const std::string log = process->standard_error();
    const std::string_view rest =
        std::string_view(log).substr(log.find(kListening) + kListening.size());
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
    if (error == std::errc() && end != rest.data() + rest.size())
      return DockerRegistry(*std::move(process), data, port);
    if (process->wait(5ms)) return fail(Errc::internal, "it ended: " + process->transcript());
  }
}

std::filesystem::path DockerRegistry::blob_file(const std::string& hex) const {
  return data_ / "docker/registry/v2/blobs/sha256" / hex.substr(0, 2) / hex / "data";
}

}  // namespace aloft::testing
