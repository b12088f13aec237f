// A watch of etcd's that goes on by itself: a thread and a stream, opened again at another member,
// from where it was, whenever it breaks.
#pragma once

#include <memory>
#include <string>

#include "cluster/etcd_members.h"
#include "cluster/store.h"

namespace aloft::cluster {

// The end of all keys that begin with `prefix`, as etcd wants it.
[[nodiscard]] std::string end_of_prefix(std::string prefix);

// `own_prefix` is put before all keys, and taken off those that are told.
[[nodiscard]] std::unique_ptr<Watch> watch_etcd(std::shared_ptr<EtcdMembers> members,
                                                const std::string& own_prefix,
                                                std::string_view prefix, Revision since,
                                                Store::WatchCalls calls);

}  // namespace aloft::cluster
