#include "tools/telemetry/telemetry_endpoint.hpp"

#include <httplib.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <thread>

#include "tools/telemetry/listen_address.hpp"

namespace rowcall::tools {
namespace {

constexpr std::size_t threads_count = 4;
constexpr std::size_t waiting_max = 32;
constexpr std::chrono::seconds request_timeout{2};

/// httplib's own pool queues without a bound. This one makes the accepting thread wait: the rest queues in the kernel,
/// which refuses in the end.
class bounded_pool final : public httplib::TaskQueue {
 public:
  bounded_pool() {
    for (std::size_t i = 0; i < threads_count; ++i) threads_.emplace_back([this] { work(); });
  }
  void enqueue(std::function<void()> job) override {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return jobs_.size() < waiting_max || is_stopped_; });
    jobs_.push_back(std::move(job));
    changed_.notify_all();
  }
  void shutdown() override {
    {
      const std::lock_guard lock{mutex_};
      is_stopped_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

 private:
  void work() {
    std::unique_lock lock{mutex_};
    for (;;) {
      changed_.wait(lock, [this] { return !jobs_.empty() || is_stopped_; });
      if (jobs_.empty()) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      changed_.notify_all();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::function<void()>> jobs_;
  bool is_stopped_ = false;
  std::vector<std::thread> threads_;  // last: they start when the rest is there
};

void answer(httplib::Response& response, const std::string& why_not, const char* well) {
  response.status = why_not.empty() ? 200 : 503;
  response.set_content((why_not.empty() ? std::string{well} : why_not) + "\n", "text/plain; charset=utf-8");
}

}  // namespace

struct telemetry_endpoint::impl {
  telemetry_handlers handlers;
  httplib::Server server;
  std::string address;
  std::thread thread;

  void route() {
    server.new_task_queue = [] { return new bounded_pool; };
    server.set_keep_alive_max_count(100);
    server.set_keep_alive_timeout(1);
    server.set_read_timeout(request_timeout);
    server.set_write_timeout(request_timeout);
    server.set_payload_max_length(1'024);
    // By default it would share the port with whoever listens there already.
    server.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server.set_default_headers({{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}});
    server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      exposition out;
      handlers.collect(out);
      response.set_content(out.text(), exposition::content_type);
    });
    server.Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
      answer(response, handlers.why_not_alive(), "ok");
    });
    server.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      answer(response, handlers.why_not_ready(), "ready");
    });
    server.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty())
        response.set_content("there is /metrics, /healthz and /readyz\n", "text/plain; charset=utf-8");
    });
  }
};

telemetry_endpoint::telemetry_endpoint(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

telemetry_endpoint::~telemetry_endpoint() {
  impl_->server.stop();
  impl_->thread.join();
}

const std::string& telemetry_endpoint::address() const { return impl_->address; }

engine::result<std::unique_ptr<telemetry_endpoint>> telemetry_endpoint::listen(const std::string& address,
                                                                               telemetry_handlers handlers) {
  auto where = parse_listen_address(address);
  if (!where) return tl::make_unexpected(where.error());
  auto made = std::make_unique<impl>();
  made->handlers = std::move(handlers);
  made->route();
  errno = 0;
  if (where->port == 0)
    where->port = made->server.bind_to_any_port(where->host);
  else if (!made->server.bind_to_port(where->host, where->port))
    where->port = -1;
  if (where->port < 0)
    return engine::fail(engine::errc::unavailable, "can not listen on " + address + ": " +
                                                       (errno != 0 ? std::strerror(errno) : "no such address"));
  made->address = to_string(*where);
  auto* server = &made->server;
  made->thread = std::thread([server] { server->listen_after_bind(); });
  while (!server->is_running()) std::this_thread::yield();  // stop() before that would be lost
  return std::unique_ptr<telemetry_endpoint>{new telemetry_endpoint{std::move(made)}};
}

}  // namespace rowcall::tools
