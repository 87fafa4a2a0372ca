#include "tests/chaos/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace rowcall::chaos {
namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t waiting_bytes_max = 1 << 20;  ///< of one direction: beyond it nothing more is read
constexpr std::size_t chunk_bytes = 64 * 1024;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void reset(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

struct chunk {
  steady::time_point due;
  std::string bytes;
  std::size_t sent = 0;
};

/// One direction of a connection: from one socket to the other.
struct lane {
  int from = -1, to = -1;
  std::deque<chunk> waiting;
  std::size_t waiting_bytes = 0;
  bool is_read_out = false;  ///< the sender has ended, or was made to
  bool is_ended = false;     ///< and the receiver was told

  /// False: the connection is broken.
  bool read(steady::time_point due) {
    std::string bytes(chunk_bytes, '\0');
    const auto count = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) {
      is_read_out = true;
      return true;
    }
    if (is_ended) return true;  // what comes after a half close is lost
    bytes.resize(static_cast<std::size_t>(count));
    waiting_bytes += bytes.size();
    waiting.push_back({due, std::move(bytes), 0});
    return true;
  }

  bool write(steady::time_point now) {
    while (!waiting.empty() && waiting.front().due <= now) {
      auto& c = waiting.front();
      const auto count = ::send(to, c.bytes.data() + c.sent, c.bytes.size() - c.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0) return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
      c.sent += static_cast<std::size_t>(count);
      waiting_bytes -= static_cast<std::size_t>(count);
      if (c.sent == c.bytes.size()) waiting.pop_front();
    }
    if (is_read_out && waiting.empty()) end();
    return true;
  }

  void end() {
    waiting.clear();
    waiting_bytes = 0;
    if (!std::exchange(is_ended, true)) ::shutdown(to, SHUT_WR);
  }
};

struct connection {
  std::array<lane, 2> lanes;  ///< by tcp_proxy::direction
  void close() {
    ::close(lanes[0].from);
    ::close(lanes[0].to);
  }
  void cut() {
    reset(lanes[0].from);
    reset(lanes[0].to);
  }
};

}  // namespace

struct tcp_proxy::impl {
  explicit impl(int target) : target_port(target) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    auto address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 128) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("the proxy can not listen");
    port = ntohs(address.sin_port);
    wakeup = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread = std::thread{[this] { run(); }};
  }

  ~impl() {
    {
      const std::lock_guard lock{mutex};
      is_stopping = true;
    }
    wake();
    thread.join();
    for (auto& c : open) c.close();
    ::close(listener);
    ::close(wakeup);
  }

  void wake() const {
    const std::uint64_t one = 1;
    if (::write(wakeup, &one, sizeof one) < 0) return;  // full: it is awake anyway
  }

  void accept_all(bool refusing) {
    for (;;) {
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client < 0) return;
      ++accepted_count;
      if (refusing) {
        reset(client);
        continue;
      }
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      const int on = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const auto address = loopback(target_port);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
        ::close(server);
        reset(client);
        continue;
      }
      connection c;
      c.lanes[0].from = c.lanes[1].to = client;
      c.lanes[0].to = c.lanes[1].from = server;
      open.push_back(std::move(c));
    }
  }

  void run() {
    std::vector<pollfd> watched;
    for (;;) {
      milliseconds lag{0};
      bool stalled = false, refusing = false;
      {
        const std::lock_guard lock{mutex};
        if (is_stopping) return;
        lag = each_way;
        stalled = is_stalled;
        refusing = is_refusing;
        if (std::exchange(is_cut_wanted, false)) {
          for (auto& c : open) c.cut();
          open.clear();
        }
        for (std::size_t d = 0; d < 2; ++d)
          if (std::exchange(is_half_close_wanted[d], false))
            for (auto& c : open) c.lanes[d].end();
        open_count = open.size();
      }

      const auto now = steady::now();
      watched.clear();
      watched.push_back({wakeup, POLLIN, 0});
      watched.push_back({listener, POLLIN, 0});
      auto next_due = now + std::chrono::seconds{1};
      if (!stalled)
        for (auto& c : open)
          for (auto& l : c.lanes) {
            const bool reads = !l.is_read_out && l.waiting_bytes < waiting_bytes_max;
            watched.push_back({reads ? l.from : -1, POLLIN, 0});
            const bool writes = !l.waiting.empty() && l.waiting.front().due <= now;
            watched.push_back({writes ? l.to : -1, POLLOUT, 0});
            if (!l.waiting.empty() && !writes) next_due = std::min(next_due, l.waiting.front().due);
          }
      const auto wait = std::chrono::ceil<milliseconds>(next_due - now).count();
      ::poll(watched.data(), watched.size(), static_cast<int>(std::max<std::int64_t>(wait, 0)));

      std::uint64_t ignored = 0;
      // Something was asked for: it holds for what has arrived meanwhile as well.
      if (watched[0].revents != 0 && ::read(wakeup, &ignored, sizeof ignored) > 0) continue;
      if (!stalled) serve(watched, steady::now(), lag);
      if (watched[1].revents != 0) accept_all(refusing);
    }
  }

  void serve(const std::vector<pollfd>& watched, steady::time_point now, milliseconds lag) {
    std::size_t at = 2;
    for (auto c = open.begin(); c != open.end(); at += 4) {
      bool is_whole = true;
      for (std::size_t i = 0; i < 2; ++i) {
        auto& l = c->lanes[i];
        if (watched[at + 2 * i].revents != 0) is_whole = is_whole && l.read(now + lag);
        is_whole = is_whole && l.write(now);
      }
      if (!is_whole) {
        c->cut();
        c = open.erase(c);
      } else if (c->lanes[0].is_read_out && c->lanes[1].is_read_out && c->lanes[0].is_ended && c->lanes[1].is_ended) {
        c->close();
        c = open.erase(c);
      } else {
        ++c;
      }
    }
  }

  std::atomic<int> target_port;
  int listener = -1, wakeup = -1, port = 0;
  std::list<connection> open;  ///< of the thread alone
  std::atomic<std::size_t> open_count{0}, accepted_count{0};

  std::mutex mutex;
  milliseconds each_way{0};
  bool is_stalled = false, is_refusing = false, is_stopping = false, is_cut_wanted = false;
  std::array<bool, 2> is_half_close_wanted{};
  std::thread thread;
};

tcp_proxy::tcp_proxy(int target_port) : impl_(std::make_unique<impl>(target_port)) {}
tcp_proxy::~tcp_proxy() = default;
int tcp_proxy::port() const { return impl_->port; }
std::size_t tcp_proxy::connections() const { return impl_->open_count; }
std::size_t tcp_proxy::accepted() const { return impl_->accepted_count; }
void tcp_proxy::target(int port) { impl_->target_port = port; }

void tcp_proxy::delay(milliseconds each_way) {
  const std::lock_guard lock{impl_->mutex};
  impl_->each_way = each_way;
  impl_->wake();
}
void tcp_proxy::stall(bool is_stalled) {
  const std::lock_guard lock{impl_->mutex};
  impl_->is_stalled = is_stalled;
  impl_->wake();
}
void tcp_proxy::refuse(bool is_refusing) {
  const std::lock_guard lock{impl_->mutex};
  impl_->is_refusing = is_refusing;
  impl_->wake();
}
void tcp_proxy::cut() {
  const std::lock_guard lock{impl_->mutex};
  impl_->is_cut_wanted = true;
  impl_->wake();
}
void tcp_proxy::half_close(direction d) {
  const std::lock_guard lock{impl_->mutex};
  impl_->is_half_close_wanted[static_cast<std::size_t>(d)] = true;
  impl_->wake();
}

}  // namespace rowcall::chaos
