// <aloft/aloft_cluster.h>: part of libaloft-cluster, which sets what it makes in options of
// libaloft.
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "device/c_api/handles.h"
#include <aloft/aloft_cluster.h>
#include <aloft/cluster.h>

using aloft::Errc;
using aloft::fail;
using aloft::Result;
using aloft::c_api::guarded;
using aloft::c_api::is_null;

namespace {

Result<std::string> text_of(const char* file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream.good() && !stream.eof())
    return fail(Errc::not_found, std::string(file) + " cannot be read");
  return text;
}

}  // namespace

aloft_code aloft_options_join_cluster(aloft_options* options, const char* managers,
                                      const char* authority, const char* certificate,
                                      const char* key, aloft_error** error) {
  return guarded(error, [&]() -> Result<void> {
    if (options == nullptr) return is_null("options");
    if (managers == nullptr) return is_null("managers");
    aloft::ClusterOptions cluster;
    for (std::string_view rest = managers; !rest.empty();) {
      const auto comma = rest.find(',');
      cluster.managers.emplace_back(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    for (const auto& [file, into] : {std::pair{authority, &cluster.authority},
                                     {certificate, &cluster.certificate},
                                     {key, &cluster.key}}) {
      if (file == nullptr) continue;
      auto text = text_of(file);
      if (!text) return std::unexpected(std::move(text.error()));
      *into = *std::move(text);
    }
    auto joined = aloft::join_cluster(std::move(cluster));
    if (!joined) return std::unexpected(std::move(joined.error()));
    options->runtime.cluster = *std::move(joined);
    return {};
  });
}
