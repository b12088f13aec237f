// One call that is on its way under its plan: at an edge, hedged, in the executor's queue, or
// running here.
//
// News of it comes from several threads: the link's (the edge's answer), the executor's (a run here
// has ended), the watch's (a time has come), the caller's (cancel). News is noted under the run's
// lock; one thread at a time, the worker, takes it up, asks the plan, and carries its steps out
// with no lock held, so that a step may lead to more news of the same run. Of a call in the
// synchronous form the worker is its caller's thread; of another one, whoever brought the news,
// except the link's thread, which has it done by the watch's; where a thread that waits for such a
// call reads the link meanwhile, it settles those that end by it itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "function/call_dispatcher.h"

namespace aloft::function {

// Belongs to its call: to the caller's stack, or to the owner of a Future.
class CallDispatcher::Run final : public detail::ElasticCall::Attachment,
                                  public RemoteCall,
                                  public HereTask,
                                  public HedgeOwner,
                                  public Watched {
 public:
  enum class Form : std::uint8_t { waited, future };
  enum class News : std::uint8_t { edge = 1, here = 2, hedge = 4, cancel = 8, time = 16 };

  Run(CallDispatcher& dispatcher, detail::ElasticCall& its_call, Form form,
      const CallPlan::Rules& rules, TimePoint start);

  // Carries the call out to its end, on this thread (waited).
  void carry_out(const Decided& decided);
  // Begins it; it may have ended when this returns (future).
  void begin(const Decided& decided);
  // Notes the news. True: this thread is the worker now, and has to work() once it holds no lock.
  [[nodiscard]] bool note(News news);
  void work();
  // Future: see Dispatcher::lend(). A thread that reads the link for its own call settles whatever
  // calls end by what it reads, which spares waking the watch's thread for each.
  [[nodiscard]] bool lend(CallDispatcher& dispatcher);

  detail::ElasticCall& call;

 private:
  struct Lending;
  // RemoteCall, HereTask, HedgeOwner, Watched: who brings news.
  void on_ended() override;
  void run_here() override;
  void on_hedge_ended(Ended ended) override;
  void on_time() override;
  void on_posted() override;

  void bring(News news);
  [[nodiscard]] CallPlan::Steps begin_plan(const Decided& decided);
  [[nodiscard]] std::optional<News> next_news();  // under the lock
  // Waited: lends this thread to the link, until there is news or something else to do.
  void assist();
  [[nodiscard]] CallPlan::Steps handle(News news);
  [[nodiscard]] CallPlan::Steps handle_edge();
  [[nodiscard]] CallPlan::Steps handle_hedge();
  // Why the edge's reply is none, if it is none; else the call has its result.
  [[nodiscard]] std::optional<Error> take_reply();
  void take(const CallPlan::Steps& steps);
  void take(const CallPlan::Step& step);
  void call_edge(EdgeIndex edge);
  // How the images among the arguments go there.
  void choose_images(const RemoteSession& edge);
  void encode_images(FunctionImages& images);
  // What the edge's reply says of that.
  void learn_of_images();
  void cancel_edge();
  void begin_here();
  void begin_hedge();
  void tell();
  [[nodiscard]] Error failure(Errc code) const;

  CallDispatcher& dispatcher_;
  const Form form_;
  const TimePoint start_;
  CallPlan plan_;  // the worker's
  std::optional<std::chrono::nanoseconds> deadline_;
  codec::Writer arguments_;
  bool encoded_ = false;
  std::optional<CodedArguments> coded_;
  std::unique_ptr<WantedCheck> check_;  // of what the images' codec costs
  TimePoint sent_at_{};
  CallTiming::Way way_;  // for a timeline
  EdgeIndex edge_ = 0;   // the last that the call was begun at
  bool instead_of_edge_ = false;
  bool ran_ = false;                     // here: written by who runs it, read once it has ended
  std::optional<CallPlan::Time> armed_;  // future: when the watch calls
  std::optional<std::stop_source> stop_;
  std::optional<Ended> hedge_;

  std::mutex mutex_;  // the watch's and the executor's are taken under it
  std::condition_variable changed_;
  std::uint8_t news_ = 0;
  std::atomic<bool> edge_ended_ = false;  // waited: for the caller's thread while it reads the link
  bool working_ = true;  // future: a thread is the worker. It begins with the caller's.
  // Future, for a thread that waits for it and reads the link:
  static constexpr EdgeIndex kNoEdge = ~EdgeIndex{0};
  std::atomic<EdgeIndex> awaited_edge_ = kNoEdge;
  std::atomic<bool> told_ = false;         // its end is being told
  std::atomic<bool> lender_looks_ = true;  // has it look up from the link
  Run* next_lent_ = nullptr;               // in the list of those that it is to settle
};

}  // namespace aloft::function
