#include "cluster/store_file.h"

#include <array>
#include <string_view>
#include <system_error>
#include <utility>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"

namespace aloft::cluster {
namespace {

// "alft", in the file's header: what tools like file(1) tell a database by.
constexpr std::int64_t kApplicationId = 0x616c6674;
constexpr std::int64_t kVersion = 1;

// Keys are bytes and compare as such. This process
// alone has the file, so that the index of the log needs no shared memory, which a full disk could
// refuse.
constexpr const char* kSettings =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA cache_size = -4096;";
// FULL synchronises the log at each commit; NORMAL only when the log is copied into the database,
// so that what is lost with the machine is the log's end.
constexpr const char* kOnDisk = "PRAGMA synchronous = FULL";
constexpr const char* kWithSystem = "PRAGMA synchronous = NORMAL";
constexpr const char* kSchema =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE entries(key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL,"
    " lease INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE leases(id INTEGER PRIMARY KEY, seconds INTEGER NOT NULL);"
    "CREATE TABLE last(revision INTEGER NOT NULL);"
    "INSERT INTO last VALUES(0);"
    "PRAGMA application_id = 1634494068; PRAGMA user_version = 1;"
    "COMMIT;";
static_assert(kApplicationId == 1634494068);

Error system_error(const std::filesystem::path& file, const char* what, int number) {
  Errc code = Errc::internal;
  if (number == ENOENT || number == ENOTDIR) code = Errc::not_found;
  if (number == EACCES || number == EPERM || number == EROFS) code = Errc::refused;
  if (number == ENOSPC || number == EDQUOT) code = Errc::resource_exhausted;
  return {code,
          std::string(what) + " " + file.string() + ": " + std::generic_category().message(number)};
}

struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

void bind(sqlite3_stmt* statement, int index, std::string_view bytes) {
  // A null pointer would be NULL instead of no bytes.
  sqlite3_bind_blob64(statement, index, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_STATIC);
}
void bind(sqlite3_stmt* statement, int index, std::int64_t number) {
  sqlite3_bind_int64(statement, index, number);
}

std::string blob(sqlite3_stmt* statement, int column) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
  const int size = sqlite3_column_bytes(statement, column);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

}  // namespace

struct StoreFile::Impl {
  std::filesystem::path file;
  Survives survives = Survives::power_cut;
  // In this order: the statements go first, the lock last.
  std::unique_ptr<Descriptor> lock;
  std::unique_ptr<sqlite3, CloseDatabase> owned;
  sqlite3* database = nullptr;
  Statement begin, commit, rollback, put, remove, put_lease, remove_lease, put_revision;
  std::optional<Error> broken;

  Error error(const char* what) const {
    const int code = sqlite3_errcode(database);
    const int system = sqlite3_system_errno(database);
    std::string message = std::string(what) + " " + file.string() + ": " + sqlite3_errmsg(database);
    switch (code & 0xff) {
      case SQLITE_FULL:
      case SQLITE_NOMEM: return {Errc::resource_exhausted, message + "; make room for it"};
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return {Errc::corrupt, message + "; put a copy in its place, or start without it"};
      case SQLITE_IOERR:
        if (system == ENOSPC || system == EDQUOT)
          return {Errc::resource_exhausted, message + "; make room for it"};
        return {Errc::unreachable, message + " (" + std::generic_category().message(system) + ")"};
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
      case SQLITE_PERM:
      case SQLITE_BUSY:
      case SQLITE_LOCKED: return {Errc::refused, message};
      default: return {Errc::internal, message};
    }
  }

  Result<void> execute(const char* sql) const {
    if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      return std::unexpected(error("cannot use"));
    return {};
  }

  Result<std::string> ask(const char* sql) const {
    auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    if (sqlite3_step(statement->get()) != SQLITE_ROW) return std::unexpected(error("cannot read"));
    return blob(statement->get(), 0);
  }

  Result<Statement> prepare(const char* sql) const {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
        SQLITE_OK)
      return std::unexpected(error("cannot read"));
    return Statement(statement);
  }

  // Runs a statement that answers nothing.
  template <class... Values>
  Result<void> run(const Statement& statement, const Values&... values) {
    int index = 0;
    (bind(statement.get(), ++index, values), ...);
    const int stepped = sqlite3_step(statement.get());
    Result<void> result;
    if (stepped != SQLITE_DONE) {
      result = std::unexpected(error("cannot write"));
      if (stepped == SQLITE_IOERR_FSYNC || stepped == SQLITE_IOERR_DIR_FSYNC) {
        result.error().message += "; the disk failed, start again once it is well";
        broken = result.error();
      }
    }
    sqlite3_reset(statement.get());
    return result;
  }

  Result<void> take_lock() {
    const std::filesystem::path path = file.string() + ".lock";
    lock = std::make_unique<Descriptor>(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock->get() < 0) return std::unexpected(system_error(path, "cannot open", errno));
    if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
      std::array<char, 32> owner{};
      const ssize_t size = ::pread(lock->get(), owner.data(), owner.size(), 0);
      const std::string_view pid(owner.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
      return fail(Errc::refused, file.string() + " is in use by process " + std::string(pid) +
                                     ": an embedded store has one manager; several managers"
                                     " share etcd");
    }
    // For people only; the lock is what counts, and goes with the process.
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(lock->get(), 0) != 0 ||
        ::pwrite(lock->get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
      return std::unexpected(system_error(path, "cannot write", errno));
    return {};
  }

  // So that it is never readable for others, and is in its folder for good.
  Result<void> make_file() {
    const Descriptor made(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (made.get() < 0) return std::unexpected(system_error(file, "cannot open", errno));
    const auto parent = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    const Descriptor folder(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || ::fsync(folder.get()) != 0)
      return std::unexpected(system_error(parent, "cannot synchronise", errno));
    return {};
  }

  Result<void> open_database() {
    const int opened = sqlite3_open_v2(file.c_str(), &database,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    owned.reset(database);
    if (opened != SQLITE_OK) return std::unexpected(error("cannot open"));
    sqlite3_extended_result_codes(database, 1);
    if (auto done = execute(kSettings); !done) return done;
    if (auto done = execute(survives == Survives::kill ? kWithSystem : kOnDisk); !done) return done;
    const auto mode = ask("PRAGMA journal_mode");
    if (!mode) return std::unexpected(mode.error());
    if (*mode != "wal")
      return fail(Errc::refused, file.string() + ": its file system allows no write-ahead log");
    return {};
  }

  Result<void> check_schema() {
    const auto tables = ask("SELECT count(*) FROM sqlite_schema");
    if (!tables) return std::unexpected(tables.error());
    if (*tables == "0") {
      if (auto done = execute(kSchema); !done) return done;
    }
    const auto application = ask("PRAGMA application_id");
    const auto version = ask("PRAGMA user_version");
    if (!application || !version) return std::unexpected(error("cannot read"));
    if (*application != std::to_string(kApplicationId))
      return fail(Errc::corrupt, file.string() + " is a database, but not the state of a cluster");
    if (*version != std::to_string(kVersion)) {
      return fail(Errc::version_mismatch, file.string() + " has version " + *version +
                                              ", this program knows version " +
                                              std::to_string(kVersion));
    }
    const auto found = ask("PRAGMA quick_check(1)");
    if (!found) return std::unexpected(found.error());
    if (*found != "ok") {
      return fail(Errc::corrupt,
                  file.string() + ": " + *found + "; put a copy in its place, or start without it");
    }
    return {};
  }

  Result<void> prepare_all() {
    const std::array<std::pair<Statement*, const char*>, 8> all{{
        {&begin, "BEGIN IMMEDIATE"},
        {&commit, "COMMIT"},
        {&rollback, "ROLLBACK"},
        {&put, "INSERT OR REPLACE INTO entries VALUES(?, ?, ?, ?)"},
        {&remove, "DELETE FROM entries WHERE key = ?"},
        {&put_lease, "INSERT OR REPLACE INTO leases VALUES(?, ?)"},
        {&remove_lease, "DELETE FROM leases WHERE id = ?"},
        {&put_revision, "UPDATE last SET revision = ?"},
    }};
    for (const auto& [statement, sql] : all) {
      auto prepared = prepare(sql);
      if (!prepared) return std::unexpected(prepared.error());
      *statement = std::move(*prepared);
    }
    return {};
  }

  Result<void> write_all(const StoreChanges& changes) {
    for (const auto& [key, entry] : changes.entries) {
      auto done = entry ? run(put, std::string_view(key), std::string_view(entry->value),
                              static_cast<std::int64_t>(entry->revision), entry->lease)
                        : run(remove, std::string_view(key));
      if (!done) return done;
    }
    for (const auto& [lease, ttl] : changes.leases) {
      auto done = ttl ? run(put_lease, lease, static_cast<std::int64_t>(ttl->count()))
                      : run(remove_lease, lease);
      if (!done) return done;
    }
    return run(put_revision, static_cast<std::int64_t>(changes.revision));
  }
};

StoreFile::StoreFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreFile::StoreFile(StoreFile&&) noexcept = default;
StoreFile::~StoreFile() = default;

Result<StoreFile> StoreFile::open(const std::filesystem::path& file, Survives survives) {
  auto impl = std::make_unique<Impl>();
  impl->file = file;
  impl->survives = survives;
  for (const auto step : {&Impl::take_lock, &Impl::make_file, &Impl::open_database,
                          &Impl::check_schema, &Impl::prepare_all}) {
    if (auto done = (*impl.*step)(); !done) return std::unexpected(done.error());
  }
  return StoreFile(std::move(impl));
}

Result<StoreContents> StoreFile::load() {
  StoreContents contents;
  const auto each = [this](const char* sql, const auto& take) -> Result<void> {
    auto statement = impl_->prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    int stepped = SQLITE_ROW;
    while ((stepped = sqlite3_step(statement->get())) == SQLITE_ROW) take(statement->get());
    if (stepped != SQLITE_DONE) return std::unexpected(impl_->error("cannot read"));
    return {};
  };
  auto done =
      each("SELECT key, value, revision, lease FROM entries ORDER BY key", [&](sqlite3_stmt* row) {
        contents.entries.emplace_hint(
            contents.entries.end(), blob(row, 0),
            StoredEntry{.value = blob(row, 1),
                        .revision = static_cast<Revision>(sqlite3_column_int64(row, 2)),
                        .lease = sqlite3_column_int64(row, 3)});
      });
  if (done) {
    done = each("SELECT id, seconds FROM leases", [&](sqlite3_stmt* row) {
      contents.leases.emplace(sqlite3_column_int64(row, 0),
                              std::chrono::seconds(sqlite3_column_int64(row, 1)));
    });
  }
  if (done) {
    done = each("SELECT revision FROM last", [&](sqlite3_stmt* row) {
      contents.revision = static_cast<Revision>(sqlite3_column_int64(row, 0));
    });
  }
  if (!done) return std::unexpected(done.error());
  return contents;
}

Result<void> StoreFile::write(const StoreChanges& changes) {
  if (impl_->broken) return std::unexpected(*impl_->broken);
  auto done = impl_->run(impl_->begin);
  if (done) done = impl_->write_all(changes);
  if (done) done = impl_->run(impl_->commit);
  // A full disk may have ended the transaction already.
  if (!done && sqlite3_get_autocommit(impl_->database) == 0)
    static_cast<void>(impl_->run(impl_->rollback));
  return done;
}

}  // namespace aloft::cluster
