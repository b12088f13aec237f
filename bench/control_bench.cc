// What the control plane costs as a cluster grows: 200 hosts, up to 20,000 sessions opened, renewed
// and closed, on both stores.
//
// Sessions are opened in blocks. Between two blocks all sessions that are due are renewed, as their
// devices would do, and hosts report what load they have; it is the last block before a row's
// number of sessions that the row measures. So what is compared is one open at 1,000 sessions with
// one at 20,000, on the same machine, minutes apart; the processor time beside it does not depend
// on what else the machine does. A row's memory is what the managers have grown by since they had
// none.
//
// At the end hosts are filled up: what they cannot take has to be refused, and no host may have
// been given more than it has. Then everything is closed, and the store has to be empty.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "control_cluster.h"
#include "control_devices.h"
#include "figures.h"

namespace aloft::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBlock = 1'000;
// What is due between two blocks is renewed, long enough ahead that each renewal is a write.
constexpr auto kRenewAge = kSessionLives / 3;
constexpr int kFillTries = 50;
constexpr auto kListLimit = 20s;

struct Options {
  std::string json, store;
  std::size_t sessions = 0;  // one row of so many; 0: the usual rows
  std::size_t hosts = 200, managers = 2, etcd_members = 1, at_once = 16;
};

struct Row {
  StoreKind store{};
  std::size_t sessions = 0;
  double opens_per_second = 0, open_p50_ms = 0, open_p99_ms = 0, bytes_per_session = 0;
  // Beside what is asked for.
  double cpu_ms = 0, store_cpu_ms = 0;  // of an open: of the managers, of etcd
  std::uint64_t manager_bytes = 0, store_bytes = 0;
};

double milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

std::vector<std::size_t> row_sizes(const Options& options) {
  if (options.sessions != 0) return {options.sessions};
  return {1'000, 5'000, 20'000};
}

// All that one store is asked for.
class Run {
 public:
  Run(const Options& options, StoreKind store) : options_(options), store_(store) {}

  [[nodiscard]] Result<std::vector<Row>> rows() {
    const std::size_t most = row_sizes(options_).back();
    // A little more than is needed, so that the last sessions have a choice as well.
    const std::size_t per_host = (most + most / 50) / options_.hosts + 1;
    auto cluster =
        ControlCluster::start({.store = store_,
                               .managers = store_ == StoreKind::etcd ? options_.managers : 1,
                               .etcd_members = options_.etcd_members,
                               .hosts = options_.hosts,
                               .sessions_per_host = per_host});
    if (!cluster) return std::unexpected(cluster.error());
    cluster_ = *std::move(cluster);
    auto devices = ControlDevices::connect(*cluster_, options_.at_once);
    if (!devices) return std::unexpected(devices.error());
    devices_ = *std::move(devices);
    for (const auto step :
         {&Run::warm_up, &Run::measure, &Run::list, &Run::fill_up, &Run::close_all}) {
      if (auto done = (this->*step)(); !done)
        return fail(done.error().code, done.error().message + "\n" + cluster_->transcript());
    }
    return rows_;
  }

 private:
  // Connections of all managers to all hosts, threads, buffers.
  Result<void> warm_up() {
    const auto opened = devices_->open(2 * options_.hosts);
    if (!opened) return std::unexpected(opened.error());
    const auto closed = devices_->close_all();
    if (!closed) return std::unexpected(closed.error());
    empty_ = cluster_->managers();
    return {};
  }

  Result<void> measure() {
    std::size_t open = 0;
    for (const std::size_t size : row_sizes(options_)) {
      Row row{.store = store_, .sessions = size};
      while (open < size) {
        const std::size_t block = std::min(kBlock, size - open);
        if (auto renewed = renew(); !renewed) return renewed;
        const Usage before = cluster_->managers(), store_before = cluster_->store();
        const auto opened = devices_->open(block);
        if (!opened) return std::unexpected(opened.error());
        if (opened->refused != 0)
          return fail(Errc::overloaded, "sessions were refused that hosts have room for");
        open += block;
        const auto count = static_cast<double>(block);
        row.opens_per_second = opened->per_second();
        row.open_p50_ms = quantile(opened->milliseconds, 0.5);
        row.open_p99_ms = quantile(opened->milliseconds, 0.99);
        row.cpu_ms = milliseconds(cluster_->managers().cpu - before.cpu) / count;
        row.store_cpu_ms = milliseconds(cluster_->store().cpu - store_before.cpu) / count;
        cluster_->report_load();
      }
      row.manager_bytes = cluster_->managers().memory_bytes;
      row.store_bytes = cluster_->store().memory_bytes;
      const auto grown =
          static_cast<double>(row.manager_bytes) - static_cast<double>(empty_.memory_bytes);
      row.bytes_per_session = std::max(0.0, grown) / static_cast<double>(size);
      rows_.push_back(row);
      std::fprintf(stderr, "%s: %zu sessions, %.0f opens a second, p50 %.2f ms, p99 %.2f ms\n",
                   to_string(store_), size, row.opens_per_second, row.open_p50_ms, row.open_p99_ms);
    }
    return {};
  }

  Result<void> renew() {
    const auto renewed = devices_->renew(kRenewAge);
    if (!renewed) return std::unexpected(renewed.error());
    renewals_ += renewed->milliseconds.size();
    renewing_seconds_ += renewed->seconds;
    return {};
  }

  // As `aloft sessions` does.
  Result<void> list() {
    const auto stub = cluster_->operator_();
    if (!stub) return std::unexpected(stub.error());
    const auto begin = std::chrono::steady_clock::now();
    std::size_t listed = 0;
    v1::ListSessionsRequest request;
    do {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + kListLimit);
      v1::ListSessionsResponse response;
      const auto status = (*stub)->ListSessions(&context, request, &response);
      if (!status.ok())
        return fail(Errc::internal, "sessions cannot be listed: " + status.error_message());
      listed += static_cast<std::size_t>(response.sessions_size());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    listing_ms_ =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    // Another manager's sessions are known here a moment later: nobody waits for that.
    if (listed > devices_->sessions())
      return fail(Errc::internal, "more sessions are listed than were opened");
    return {};
  }

  Result<void> fill_up() {
    // Where several managers take the last room at a time, one may be told to ask again.
    std::size_t room = cluster_->capacity() - devices_->sessions();
    for (int tries = 0; room > 0 && tries < kFillTries; ++tries) {
      const auto opened = devices_->open(room);
      if (!opened) return std::unexpected(opened.error());
      room -= opened->milliseconds.size();
    }
    if (room > 0)
      return fail(Errc::internal, "nobody gets the last " + std::to_string(room) + " places");
    const auto opened = devices_->open(options_.at_once);
    if (!opened) return std::unexpected(opened.error());
    if (!opened->milliseconds.empty())
      return fail(Errc::internal, "sessions were opened that no host has room for");
    if (const std::size_t count = cluster_->overfilled(); count != 0)
      return fail(Errc::internal, std::to_string(count) + " hosts were given more than they have");
    return {};
  }

  Result<void> close_all() {
    const std::size_t count = devices_->sessions();
    const auto closed = devices_->close_all();
    if (!closed) return std::unexpected(closed.error());
    const double commits = cluster_->metric("aloft_manager_commits_total");
    const double conflicts = cluster_->metric("aloft_manager_commit_conflicts_total");
    const double expired = cluster_->metric("aloft_manager_sessions_expired_total");
    const auto left = cluster_->end();
    if (!left) return std::unexpected(left.error());
    for (const auto& [kind, number] : *left) {
      return fail(Errc::internal, std::to_string(number) + " " + kind +
                                      " are left in the store though all sessions were closed");
    }
    if (expired != 0) return fail(Errc::internal, "sessions expired that were renewed");
    std::printf(
        "%s: %zu renewals, %.0f a second; %zu closes, %.0f a second; %.0f commits, %.0f conflicts; "
        "all sessions listed in %.0f ms\n",
        to_string(store_), renewals_,
        renewing_seconds_ > 0 ? static_cast<double>(renewals_) / renewing_seconds_ : 0, count,
        closed->per_second(), commits, conflicts, listing_ms_);
    return {};
  }

  const Options& options_;
  const StoreKind store_;
  std::unique_ptr<ControlCluster> cluster_;
  std::unique_ptr<ControlDevices> devices_;
  Usage empty_;
  std::vector<Row> rows_;
  std::size_t renewals_ = 0;
  double renewing_seconds_ = 0, listing_ms_ = 0;
};

constexpr double kMib = 1 << 20;

void print(const std::vector<Row>& rows) {
  std::printf("%-9s %9s %9s %9s %9s %10s %13s %12s %13s %11s\n", "store", "sessions", "opens/s",
              "p50 ms", "p99 ms", "KiB/sess.", "managers MiB", "etcd MiB", "cpu ms/open",
              "etcd cpu ms");
  for (const Row& row : rows) {
    std::printf("%-9s %9zu %9.0f %9.2f %9.2f %10.2f %13.1f %12.1f %13.2f %11.2f\n",
                to_string(row.store), row.sessions, row.opens_per_second, row.open_p50_ms,
                row.open_p99_ms, row.bytes_per_session / 1024,
                static_cast<double>(row.manager_bytes) / kMib,
                static_cast<double>(row.store_bytes) / kMib, row.cpu_ms, row.store_cpu_ms);
  }
  std::printf("\n");
}

void compare(const std::vector<Row>& rows, StoreKind store) {
  const Row *first = nullptr, *last = nullptr;
  double spread = 0;
  for (const Row& row : rows) {
    if (row.store != store) continue;
    if (first == nullptr) first = &row;
    last = &row;
    spread = std::max(spread, row.open_p99_ms / row.open_p50_ms);
  }
  if (first == nullptr) return;
  const std::string name = to_string(store) + std::string(": ");
  if (first != last) {
    judge(name + "cost of an open, most sessions over fewest: time",
          first->opens_per_second / last->opens_per_second, "", 1.5);
    judge(name + "the same: processor time of managers and etcd",
          (last->cpu_ms + last->store_cpu_ms) / (first->cpu_ms + first->store_cpu_ms), "", 1.5);
  }
  judge(name + "p99 of an open over its p50, at worst", spread, "", 10);
  judge(name + "managers' memory with all sessions", static_cast<double>(last->manager_bytes) / 1e6,
        "MB", 500);
}

nlohmann::json json_of(const std::vector<Row>& rows) {
  nlohmann::json all = nlohmann::json::array();
  for (const Row& row : rows) {
    all.push_back({{"store", to_string(row.store)},
                   {"sessions", row.sessions},
                   {"opens_per_second", row.opens_per_second},
                   {"open_p50_ms", row.open_p50_ms},
                   {"open_p99_ms", row.open_p99_ms},
                   {"bytes_per_session", row.bytes_per_session}});
  }
  return all;
}

Result<void> run(const Options& options) {
  std::vector<Row> all;
  for (const StoreKind store : {StoreKind::etcd, StoreKind::embedded}) {
    if (!options.store.empty() && options.store != to_string(store)) continue;
    auto rows = Run(options, store).rows();
    if (!rows) return std::unexpected(rows.error());
    all.insert(all.end(), rows->begin(), rows->end());
  }
  print(all);
  compare(all, StoreKind::etcd);
  compare(all, StoreKind::embedded);
  write_json(options.json, json_of(all));
  return {};
}

}  // namespace
}  // namespace aloft::bench

int main(int argc, char** argv) {
  aloft::bench::Options options;
  CLI::App app{"What the control plane costs as a cluster grows, on both stores"};
  app.add_option("--json", options.json, "file for the figures");
  app.add_option("--store", options.store, "this one alone")
      ->check(CLI::IsMember({"etcd", "embedded"}));
  app.add_option("--sessions", options.sessions,
                 "one row, of so many; none: rows of 1,000, 5,000 and 20,000")
      ->check(CLI::Range(1, 50'000));
  app.add_option("--hosts", options.hosts, "simulated hosts")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  app.add_option("--managers", options.managers, "managers on etcd; the embedded store has one")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("--etcd", options.etcd_members, "members of etcd")
      ->check(CLI::Range(1, 5))
      ->capture_default_str();
  app.add_option("--at-once", options.at_once, "requests under way at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  aloft::bench::must(aloft::bench::run(options));
  return 0;
}
