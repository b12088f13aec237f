// dns_sd_source() with a name server of one's own choice.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <netinet/in.h>

#include <aloft/cluster.h>

namespace aloft::device {

// `server`: none: those of the system.
[[nodiscard]] std::shared_ptr<ManagerSource> dns_sd_source_at(std::string domain,
                                                              std::optional<sockaddr_in> server);

}  // namespace aloft::device
