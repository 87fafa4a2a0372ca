#include "storage/postgres/internal/answer_watch.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_set>

namespace rowcall::storage::postgres::internal {

/// The process's thread that looks at the deadlines.
class answer_watch {
 public:
  static answer_watch& of_process() {
    // Never destroyed: a connection may outlive what is static, and the thread ends with the process.
    static auto* const watch = new answer_watch;
    return *watch;
  }

  void add(watched_answer& answer, int socket) {
    const std::lock_guard lock{mutex_};
    answer.socket_ = socket;
    answer.is_cut_ = false;
    answer.answered();
    watched_.insert(&answer);
    changed_.notify_one();
  }
  void remove(watched_answer& answer) {
    const std::lock_guard lock{mutex_};
    watched_.erase(&answer);
    answer.socket_ = -1;
  }

 private:
  answer_watch() {
    // Signals are for the threads of the program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread{[this] { watch(); }}.detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void watch() {
    constexpr std::chrono::milliseconds interval{250};
    std::unique_lock lock{mutex_};
    for (;;) {
      changed_.wait(lock, [this] { return !watched_.empty(); });
      changed_.wait_for(lock, interval, [this] { return watched_.empty(); });
      const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
      for (auto* const answer : watched_) {
        if (answer->due_ns_.load(std::memory_order_relaxed) > now) continue;
        answer->answered();
        answer->is_cut_ = true;
        ::shutdown(answer->socket_, SHUT_RDWR);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_set<watched_answer*> watched_;
};

void watched_answer::begin(int socket) { answer_watch::of_process().add(*this, socket); }

void watched_answer::end() {
  if (socket_ >= 0) answer_watch::of_process().remove(*this);
}

}  // namespace rowcall::storage::postgres::internal
