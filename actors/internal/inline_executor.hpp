#pragma once

#include <deque>

#include <caf/all.hpp>

namespace rowcall::actors::internal {

/// Runs the actors that it sends to on the calling thread: a turn's sessions, and the directory when a wake or a turn's
/// end is told.
///
/// A turn's session actors have microseconds of work each; handing them to the scheduler and waiting for the last one
/// costs two thread hops, about as long as a COMMIT. An idle actor that gets its message through this unit is resumed
/// here and now; one that is running elsewhere just finds the message in its mailbox.
class inline_executor final : public caf::execution_unit {
 public:
  explicit inline_executor(caf::actor_system& system) : caf::execution_unit(&system) {}

  void exec_later(caf::resumable* job) override { jobs_.push_back(job); }

  template <class Handle, class... Ts>
  void send(const Handle& target, Ts&&... values) {
    if (auto* to = caf::actor_cast<caf::abstract_actor*>(target))
      to->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::forward<Ts>(values)...), this);
  }

  /// The first actor that was started by send() has one go here; what is left after it, its own and others' messages,
  /// is the scheduler's: the thread is not kept.
  void run_first() {
    for (bool is_first = true; !jobs_.empty(); is_first = false) {
      caf::resumable* job = jobs_.front();
      jobs_.pop_front();
      if (is_first && job->resume(this, messages_max) != caf::resumable::resume_later)
        caf::intrusive_ptr_release(job);
      else
        system().scheduler().enqueue(job);
    }
  }

  /// Returns when no actor that was started by send() has anything left to do.
  void run() {
    while (!jobs_.empty()) {
      caf::resumable* job = jobs_.front();
      jobs_.pop_front();
      switch (job->resume(this, messages_max)) {
        case caf::resumable::resume_later: jobs_.push_back(job); break;
        default: caf::intrusive_ptr_release(job); break;
      }
    }
  }

 private:
  static constexpr std::size_t messages_max = 50;
  std::deque<caf::resumable*> jobs_;
};

}  // namespace rowcall::actors::internal
