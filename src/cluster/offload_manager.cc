#include "cluster/offload_manager.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "identity/name.h"
#include "ops/log.h"
#include "rpc/status.h"
#include "rpc/trace_metadata.h"

namespace aloft::cluster {
namespace {

// 2: rollouts, and where hosts are.
constexpr std::uint32_t kApiVersion = 2;
constexpr std::chrono::milliseconds kRetryWhenFull{500};

bool is_session_id(const std::string& id) {
  return id.size() == 32 && std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_for_revoked_key(const v1::OpenSessionRequest& request, const Revocations& revoked) {
  SessionRecord session;
  session.set_client_key_sha256(request.client_key_sha256());
  return is_revoked(session, revoked);
}

}  // namespace

OffloadManagerService::Answer::Answer(const Error& error) : status(rpc::to_status(error)) {
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) retry_after = kRetryWhenFull;
}

OffloadManagerService::Answer OffloadManagerService::gave_up() {
  return Answer({Errc::cancelled, "the caller gave it up"});
}

OffloadManagerService::Answer OffloadManagerService::too_many(std::string what) {
  return Answer({Errc::overloaded, std::move(what)});
}

OffloadManagerService::OffloadManagerService(OffloadManagerParts parts,
                                             OffloadManagerOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      placing_(options_.placing_threads, options_.placing_part, options_.placing_waiting),
      pool_(options_.threads, options_.waiting) {}

OffloadManagerService::~OffloadManagerService() = default;

Result<OffloadManagerService::Who> OffloadManagerService::who(
    const grpc::ServerContextBase& context, Rights rights, grpc::Status& refused) const {
  auto caller = parts_.authenticator.who(context);
  if (!caller) {
    refused = {grpc::StatusCode::UNAUTHENTICATED, caller.error().message};
    return std::unexpected(caller.error());
  }
  Who who{.caller = *std::move(caller), .table = parts_.tenants()};
  const auto no = [&](std::string message) {
    refused = {grpc::StatusCode::PERMISSION_DENIED, message};
    return fail(Errc::refused, std::move(message));
  };
  if (who.caller.role == identity::Role::tenant) {
    who.tenant = who.table->find(who.caller.name);
    if (who.tenant == nullptr) {
      return no("tenant " + who.caller.name + " is not in the tenants file of this cluster");
    }
    who.is_operator = who.tenant->is_operator;
  } else if (who.caller.role == identity::Role::operator_) {
    who.is_operator = true;
  } else {
    return no("a certificate of a " + std::string(to_string(who.caller.role)) +
              " opens nothing here: show one of a tenant or of an operator");
  }
  if (rights == Rights::operator_ && !who.is_operator) {
    return no("this is for operators: tenant " + who.caller.name + " has no `operator = true`");
  }
  return who;
}

grpc::ServerUnaryReactor* OffloadManagerService::handle(
    Lane lane, Context* context, const char* method, Rights rights,
    std::function<Answer(const Who&)> function) {
  Reactor* const reactor = context->DefaultReactor();
  const auto begun = std::chrono::steady_clock::now();
  const auto finish = [this, context, reactor, method, begun](const Answer& answer) {
    if (answer.retry_after.count() > 0) {
      context->AddTrailingMetadata(rpc::kRetryAfter, std::to_string(answer.retry_after.count()));
    }
    parts_.metrics.answered(method, answer.status.error_code(),
                            std::chrono::steady_clock::now() - begun);
    reactor->Finish(answer.status);
  };
  const bool posted = pool_.post([=, this, function = std::move(function)] {
    if (context->IsCancelled()) return finish(gave_up());
    Answer refused;
    auto caller = who(*context, rights, refused.status);
    if (!caller) return finish(refused);
    if (lane == Lane::quick) return finish(function(*caller));
    // An operator is one among the tenants, and none has a name without a letter.
    const std::string owner = caller->tenant != nullptr ? caller->tenant->name : "";
    const bool in_line = placing_.post(owner, [=, whose = *std::move(caller)] {
      finish(context->IsCancelled() ? gave_up() : function(whose));
    });
    if (!in_line) finish(too_many("tenant " + owner + " has too many sessions to be placed"));
  });
  if (!posted) finish(too_many("this manager has too many requests waiting"));
  return reactor;
}

OffloadManagerService::Answer OffloadManagerService::answer_with(const KnownSession& session,
                                                                 v1::Session& response) const {
  auto view = parts_.placer.owners_view(session);
  if (!view) return Answer(view.error());
  response = *std::move(view);
  return {};
}

Result<KnownSession> OffloadManagerService::session_of(const Who& who,
                                                       const std::string& id) const {
  if (!is_session_id(id)) return fail(Errc::invalid_argument, "id: not a session's");
  auto known = parts_.sessions.find(id);
  if (!known) {
    // It may have been opened at another manager a moment ago.
    if (auto read = parts_.tables.sessions.refresh(parts_.store, id); !read) {
      return std::unexpected(read.error());
    }
    known = parts_.sessions.find(id);
  }
  if (!known) return fail(Errc::not_found, "no such session: " + id);
  if (!who.is_operator && known->record->tenant() != who.caller.name) {
    return fail(Errc::refused, "session " + id + " is another tenant's");
  }
  return *std::move(known);
}

OffloadManagerService::Answer OffloadManagerService::open(const Who& who,
                                                          const v1::OpenSessionRequest& asked,
                                                          const ops::Trace& trace,
                                                          v1::Session& response) {
  if (who.tenant == nullptr) {
    return Answer({Errc::refused, "an operator has no sessions: show a tenant's certificate"});
  }
  const Tenant& tenant = *who.tenant;
  // Before all else, so that wrong requests are counted, too.
  if (const auto wait = admission_.refuse(tenant, Admission::Clock::now())) {
    Answer answer({Errc::overloaded, "tenant " + tenant.name + " opens sessions too fast"});
    answer.retry_after = *wait;
    return answer;
  }
  if (auto checked = check(asked); !checked) return Answer(checked.error());
  if (is_for_revoked_key(asked, who.table->revoked)) {
    return Answer({Errc::refused, "client_key_sha256: this key has been revoked"});
  }
  for (const auto& module : asked.modules()) {
    if (!tenant.allows_module(module.name(), *Digest::parse(module.digest()))) {
      return Answer(
          {Errc::refused, "tenant " + tenant.name + " may not run module " + module.name()});
    }
  }
  v1::OpenSessionRequest request = asked;
  auto& resources = *request.mutable_resources();
  if (resources.memory_bytes() == 0) resources.set_memory_bytes(options_.default_memory_bytes);
  if (resources.cpu_millicores() == 0) {
    resources.set_cpu_millicores(options_.default_cpu_millicores);
  }

  const std::string id = SessionTable::id_of(tenant.name, request);
  auto session = parts_.sessions.open(id, tenant, who.caller.shown, request,
                                      parts_.placer.silent_hosts(tenant.name), trace.next_step());
  if (!session) return Answer(session.error());
  if (session->waiting()) {
    session = parts_.sessions.replace(id, {.generation = session->record->generation(),
                                           .avoid = parts_.placer.silent_hosts(tenant.name)});
  }
  if (session) session = parts_.placer.settle(*std::move(session), tenant);
  if (session && session->placed()) return answer_with(*session, response);

  const Error error =
      session ? Error{Errc::overloaded, "no host that has room answers"} : session.error();
  if (auto closed = parts_.sessions.close(id, SessionTable::End::now); closed && *closed) {
    parts_.placer.release(**closed);
  }
  return Answer(error);
}

OffloadManagerService::Answer OffloadManagerService::move(const Who& who,
                                                          const v1::MoveSessionRequest& request,
                                                          v1::Session& response) {
  auto session = session_of(who, request.id());
  if (!session) return Answer(session.error());
  const Tenant* const tenant = who.table->find(session->record->tenant());
  if (tenant == nullptr)
    return Answer({Errc::refused, "its tenant is in no tenants file any more"});
  if (!request.to_host().empty() && !identity::is_name(request.to_host())) {
    return Answer({Errc::invalid_argument, "to_host: not a host's name"});
  }
  if (const auto wait = admission_.refuse(*tenant, Admission::Clock::now())) {
    Answer answer({Errc::overloaded, "tenant " + tenant->name + " moves sessions too fast"});
    answer.retry_after = *wait;
    return answer;
  }
  std::vector<std::string> avoid(request.avoid_hosts().begin(), request.avoid_hosts().end());
  // A device that asks twice to get away from one host, or was moved away already, is where it
  // wanted to be.
  const bool is_away = !avoid.empty() && session->placed() && request.to_host().empty() &&
                       std::ranges::find(avoid, session->record->host()) == avoid.end();
  if (is_away) return answer_with(*session, response);

  session =
      parts_.placer.move(*session, *tenant, {.avoid = std::move(avoid), .only = request.to_host()});
  if (!session) return Answer(session.error());
  return answer_with(*session, response);
}

grpc::ServerUnaryReactor* OffloadManagerService::OpenSession(Context* context,
                                                             const v1::OpenSessionRequest* request,
                                                             v1::Session* response) {
  return handle(Lane::placing, context, "OpenSession", Rights::tenant, [=, this](const Who& who) {
    // A device that says none gets one here, so that host and guest can be found all the same.
    ops::Trace trace = rpc::trace_of(*context);
    if (trace.id().empty()) trace = ops::Trace::make();
    Answer answer = open(who, *request, trace, *response);
    const bool is_open = answer.status.ok();
    ops::log(is_open ? spdlog::level::info : spdlog::level::warn,
             is_open ? "the session is open at host " + response->placement().host_id()
                     : "an open failed: " + answer.status.error_message(),
             {{"tenant", who.caller.name}, {"session", response->id()}, {"trace_id", trace.id()}});
    return answer;
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::MoveSession(Context* context,
                                                             const v1::MoveSessionRequest* request,
                                                             v1::Session* response) {
  return handle(Lane::placing, context, "MoveSession", Rights::tenant,
                [=, this](const Who& who) { return move(who, *request, *response); });
}

grpc::ServerUnaryReactor* OffloadManagerService::RenewSession(
    Context* context, const v1::RenewSessionRequest* request, v1::Session* response) {
  return handle(Lane::quick, context, "RenewSession", Rights::tenant, [=, this](const Who& who) {
    auto session = session_of(who, request->id());
    // A session of a tenant that is no more ends by itself; so does one whose module is no longer
    // allowed.
    if (session) {
      const Tenant* const tenant = who.table->find(session->record->tenant());
      if (tenant == nullptr) return Answer({Errc::refused, "its tenant is no more"});
      for (const auto& module : session->record->modules()) {
        const auto digest = Digest::parse(module.digest());
        if (!digest || !tenant->allows_module(module.name(), *digest)) {
          return Answer(
              {Errc::refused, "tenant " + tenant->name + " may not run module " + module.name()});
        }
      }
      session = parts_.sessions.renew(session->id);
    }
    if (!session) return Answer(session.error());
    return answer_with(*session, *response);
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::CloseSession(
    Context* context, const v1::CloseSessionRequest* request, v1::CloseSessionResponse*) {
  return handle(Lane::quick, context, "CloseSession", Rights::tenant, [=, this](const Who& who) {
    auto session = session_of(who, request->id());
    if (!session && session.error().code == Errc::not_found) return Answer();  // again
    if (!session) return Answer(session.error());
    auto closed = parts_.sessions.close(session->id, SessionTable::End::now);
    if (!closed) return Answer(closed.error());
    if (*closed) parts_.placer.release(**closed);
    return Answer();
  });
}

grpc::ServerWriteReactor<v1::Session>* OffloadManagerService::WatchSession(
    Context* context, const v1::WatchSessionRequest* request) {
  struct Refusal final : grpc::ServerWriteReactor<v1::Session> {
    explicit Refusal(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
  };
  auto opened = parts_.watchers.open();
  if (opened.reactor == nullptr) {
    return new Refusal({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many watch at this manager"});
  }
  // As with all others: who it is, and a look at the store for a session that is not known here.
  using Decision = Result<std::string, grpc::Status>;
  const auto decide = [this, context, request, opened] {
    Decision decision = std::unexpected(grpc::Status());
    if (const auto caller = who(*context, Rights::tenant, decision.error())) {
      const auto session = session_of(*caller, request->id());
      if (session) {
        decision = session->id;
      } else {
        decision = std::unexpected(rpc::to_status(session.error()));
      }
    }
    parts_.metrics.answered("WatchSession",
                            decision ? grpc::StatusCode::OK : decision.error().error_code(), {});
    opened.decide(decision);
  };
  if (!pool_.post(decide)) {
    opened.decide(std::unexpected(
        rpc::to_status({Errc::overloaded, "this manager has too many requests waiting"})));
  }
  return opened.reactor;
}

grpc::ServerUnaryReactor* OffloadManagerService::ExplainSession(
    Context* context, const v1::ExplainSessionRequest* request, v1::PlacementReason* response) {
  return handle(Lane::quick, context, "ExplainSession", Rights::tenant, [=, this](const Who& who) {
    const auto session = session_of(who, request->id());
    if (!session) return Answer(session.error());
    const auto reason = parts_.store.get("reasons/" + session->id);
    if (!reason) return Answer(reason.error());
    if (!*reason || !response->ParseFromString((*reason)->value)) {
      return Answer({Errc::not_found, "no reason is known for session " + session->id});
    }
    return Answer();
  });
}

grpc::ServerUnaryReactor* OffloadManagerService::Ping(Context* context, const v1::PingRequest*,
                                                      v1::PingResponse* response) {
  response->set_cluster(options_.cluster);
  response->set_api_version(kApiVersion);
  Reactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace aloft::cluster
