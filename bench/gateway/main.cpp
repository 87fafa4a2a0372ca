#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/macro/engine_process.hpp"
#include "bench/macro/figures.hpp"
#include "bench/macro/machine.hpp"
#include "bus/nats_bus.hpp"
#include "client/follower.hpp"
#include "client/submitter.hpp"
#include "engine/json.hpp"
#include "gateway/token.hpp"
#include "storage/postgres/stores.hpp"

/// What the gateway costs: open streams, and the same work through client/ in alternation. One JSON line a figure, in
/// the form and with the targets of bench/macro/figures.cpp.
///
///   rowcall-gateway-bench --rowcall PATH [--streams 10000] [--rounds 3] [--singles 1000] [--submit-s 4] [--idle-s 20]
///     [--only streams|latency|submit] [--commit TEXT]
namespace rowcall::bench {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct settings {
  std::string database, nats, prefix, rowcall, only, commit;
  int rounds = 3;
  std::size_t streams = 10'000;
  std::size_t singles = 1'000;
  int submit_s = 4;
  int idle_s = 20;
  std::uint16_t port = 0;
  std::string token;
};

storage::postgres::store_config store(const settings& s) {
  storage::postgres::store_config c;
  c.url = s.database;
  c.application_name = "rowcall bench";
  return c;
}

/// A blocking HTTP/1.1 connection: as little as possible, so that the gateway is what is measured.
class http_connection {
 public:
  explicit http_connection(const settings& s) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(s.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error(std::string{"connect: "} + std::strerror(errno));
  }
  http_connection(http_connection&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), input_(std::move(other.input_)) {}
  ~http_connection() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

  void send(const std::string& text) {
    if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("send");
  }
  /// Reads until `mark` has come; what is behind it stays.
  std::string read_to(std::string_view mark) {
    for (;;) {
      if (const auto at = input_.find(mark); at != input_.npos) {
        auto text = input_.substr(0, at + mark.size());
        input_.erase(0, at + mark.size());
        return text;
      }
      read_some();
    }
  }
  /// The status of one answer, its body read away.
  int answer() {
    const auto head = read_to("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    const auto length = at == head.npos ? 0 : std::strtoul(head.c_str() + at + 16, nullptr, 10);
    while (input_.size() < length) read_some();
    input_.erase(0, length);
    return std::atoi(head.c_str() + 9);
  }

 private:
  void read_some() {
    char buffer[16 * 1024];
    const auto n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) throw std::runtime_error("the gateway closed the connection: " + input_);
    input_.append(buffer, static_cast<std::size_t>(n));
  }
  int fd_;
  std::string input_;
};

std::string get_stream(const settings& s, const std::string& session) {
  return "GET /v1/sessions/" + session +
         "/updates?after=end HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\nAuthorization: Bearer " + s.token +
         "\r\n\r\n";
}
std::string post_command(const settings& s, const std::string& session) {
  static const std::string body = R"({"type":"say","data":{"text":"hello, this is a message of ordinary length"}})";
  return "POST /v1/sessions/" + session +
         "/commands HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer " + s.token +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
engine::command_request command(const std::string& session) {
  return {*engine::session_id::parse(session), "say", R"({"text":"hello, this is a message of ordinary length"})",
          std::nullopt};
}

/// `rowcall gateway` as a child process.
class gateway_process {
 public:
  explicit gateway_process(settings& s) {
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const auto limit = std::to_string(s.streams + 1'000);
    std::vector<std::string> arguments{s.rowcall,
                                       "--database",
                                       s.database,
                                       "--nats",
                                       s.nats,
                                       "--log-level",
                                       "warn",
                                       "gateway",
                                       "--listen",
                                       "127.0.0.1:0",
                                       "--development",
                                       "--commands-per-s",
                                       "1e9",
                                       "--reads-per-s",
                                       "1e9",
                                       "--connections-max",
                                       limit,
                                       "--streams-max",
                                       limit};
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], 1);
      std::vector<char*> argv;
      for (auto& a : arguments) argv.push_back(a.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    std::string line;
    char c = 0;
    while (read(out[0], &c, 1) == 1 && c != '\n') line += c;
    out_ = out[0];
    const auto colon = line.rfind(':');
    if (!line.starts_with("gateway: ") || colon == line.npos)
      throw std::runtime_error("the gateway did not start: " + line);
    s.port = static_cast<std::uint16_t>(std::atoi(line.c_str() + colon + 1));
  }
  gateway_process(const gateway_process&) = delete;
  ~gateway_process() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
    close(out_);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
};

/// Opens the streams, waits until each is caught up, and looks at the process while nothing happens.
void measure_streams(settings& s, figures& found, std::size_t sessions, const std::string& name) {
  gateway_process gateway(s);
  const auto before = usage_of(gateway.pid());
  const auto start = steady::now();
  std::vector<http_connection> open;
  open.reserve(s.streams);
  constexpr std::size_t at_once = 200;
  for (std::size_t i = 0; i < s.streams; ++i) {
    open.emplace_back(s);
    open.back().send(get_stream(s, "echo-s" + std::to_string(i % sessions)));
    // A server that is asked by ten thousand at once answers some of them late; here it is what is open that counts.
    if (i >= at_once) open[i - at_once].read_to("\"positions\"");
  }
  for (std::size_t i = s.streams > at_once ? s.streams - at_once : 0; i < s.streams; ++i)
    open[i].read_to("\"positions\"");
  const double took = std::chrono::duration<double>(steady::now() - start).count();
  std::this_thread::sleep_for(2s);
  const auto idle = usage_of(gateway.pid());
  std::this_thread::sleep_for(std::chrono::seconds{s.idle_s});
  const auto after = usage_of(gateway.pid());
  found.add(name + "_rss_mib", after.rss_mib);
  found.add(name + "_each_bytes", (after.rss_mib - before.rss_mib) * 1024 * 1024 / static_cast<double>(s.streams));
  found.add(name + "_idle_core_share", (after.cpu_s - idle.cpu_s) / s.idle_s);
  found.add(name + "_opened_per_s", static_cast<double>(s.streams) / took);
}

double http_latency_us(settings& s) {
  gateway_process gateway(s);
  http_connection stream(s), poster(s);
  stream.send(get_stream(s, "echo-latency"));
  stream.read_to("\"positions\"");
  const auto request = post_command(s, "echo-latency");
  std::vector<double> us;
  for (std::size_t i = 0; i < s.singles + 50; ++i) {
    const auto start = steady::now();
    poster.send(request);
    stream.read_to("\ndata: ");
    stream.read_to("\n\n");
    if (i >= 50) us.push_back(std::chrono::duration<double, std::micro>(steady::now() - start).count());
    if (poster.answer() != 202) throw std::runtime_error("a command was refused");
  }
  return median(us);
}

struct client_pair {
  explicit client_pair(const settings& s) {
    bus::nats_config nats;
    nats.url = s.nats;
    if (!s.prefix.empty()) nats.subject_prefix = s.prefix;
    bus = bus::connect_nats(nats).value();
    std::vector<std::unique_ptr<engine::command_store>> stores;
    stores.push_back(storage::postgres::make_command_store(store(s)));
    submitter = std::make_unique<client::submitter>(std::move(stores), *bus);
  }
  std::unique_ptr<engine::bus> bus;
  std::unique_ptr<client::submitter> submitter;
};

double client_latency_us(const settings& s) {
  client_pair client(s);
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t seen = 0;
  client::follow_handler handler;
  handler.on_updates = [&](const engine::session_id&, std::span<const engine::update_row> rows) {
    const std::lock_guard lock{mutex};
    seen += rows.size();
    changed.notify_all();
  };
  auto reader = storage::postgres::make_update_store(store(s));
  const auto session = *engine::session_id::parse("echo-latency");
  client::follower follower{storage::postgres::make_update_store(store(s)), *client.bus, std::move(handler)};
  follower.follow(session, reader->last(session).value().update);
  static_cast<void>(client.bus->flush(2s));
  std::vector<double> us;
  for (std::size_t i = 0; i < s.singles + 50; ++i) {
    const auto start = steady::now();
    client.submitter->submit(command("echo-latency")).value();
    std::unique_lock lock{mutex};
    if (!changed.wait_for(lock, 20s, [&] { return seen > i; })) throw std::runtime_error("no update came");
    if (i >= 50) us.push_back(std::chrono::duration<double, std::micro>(steady::now() - start).count());
  }
  return median(us);
}

constexpr int submit_connections = 64;

/// Commands/s of 64 who each send one and wait for its answer.
double rate_of(const settings& s, const std::function<std::function<void()>(int)>& make_sender) {
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> count{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < submit_connections; ++i)
    threads.emplace_back([&, send = make_sender(i)] {
      while (!stop) {
        send();
        ++count;
      }
    });
  std::this_thread::sleep_for(500ms);
  const auto first = count.load();
  const auto start = steady::now();
  std::this_thread::sleep_for(std::chrono::seconds{s.submit_s});
  const double rate =
      static_cast<double>(count.load() - first) / std::chrono::duration<double>(steady::now() - start).count();
  stop = true;
  for (auto& t : threads) t.join();
  return rate;
}

/// One thread with 64 connections, so that the client takes little of the machine.
double http_rate(settings& s) {
  gateway_process gateway(s);
  std::vector<http_connection> connections;
  std::vector<std::string> requests;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < submit_connections; ++i) {
    connections.emplace_back(s);
    requests.push_back(post_command(s, "echo-r" + std::to_string(i)));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, connections.back().fd(), &event);
    connections.back().send(requests.back());
  }
  std::size_t count = 0, first = 0;
  auto start = steady::now();
  const auto warm = start + 500ms;
  auto end = warm + std::chrono::seconds{s.submit_s};
  bool is_warm = false;
  for (;;) {
    epoll_event events[submit_connections];
    const int n = epoll_wait(epoll, events, submit_connections, 1'000);
    const auto now = steady::now();
    if (!is_warm && now >= warm) {
      is_warm = true;
      first = count;
      start = now;
    }
    if (now >= end) break;
    for (int i = 0; i < n; ++i) {
      auto& c = connections[events[i].data.u32];
      if (c.answer() != 202) throw std::runtime_error("a command was refused");
      ++count;
      c.send(requests[events[i].data.u32]);
    }
  }
  close(epoll);
  return static_cast<double>(count - first) / std::chrono::duration<double>(steady::now() - start).count();
}

double client_rate(const settings& s) {
  client_pair client(s);
  return rate_of(s, [&](int i) {
    return [&client, session = "echo-r" + std::to_string(i)] { client.submitter->submit(command(session)).value(); };
  });
}

/// The same by HTTP and through client/, turn about.
void compare(const settings& s, figures& found, const std::string& unit, const std::function<double()>& http,
             const std::function<double()>& client) {
  for (int round = 0; round < s.rounds; ++round) {
    const bool is_http_first = round % 2 == 0;
    const double a = is_http_first ? http() : client();
    const double b = is_http_first ? client() : http();
    found.add("gateway_http_" + unit, is_http_first ? a : b);
    found.add("gateway_client_" + unit, is_http_first ? b : a);
  }
}

/// Members of every line: what was measured on what.
std::string head_of(const settings& s) {
  engine::json::writer w;
  w.begin_object().key("commit").string(s.commit).key("machine").raw(describe_machine(s.database));
  w.key("configuration").begin_object().key("streams").number(static_cast<std::int64_t>(s.streams));
  w.key("singles").number(static_cast<std::int64_t>(s.singles)).key("submit_s").number(std::int64_t{s.submit_s});
  w.key("idle_s").number(std::int64_t{s.idle_s}).end_object().end_object();
  const auto text = std::move(w).str();
  return text.substr(1, text.size() - 2);
}

int run(settings s) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < s.streams + 100) throw std::runtime_error("ulimit -n is too low for that many streams");
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  s.token = gateway::key_ring::development()
                .sign(gateway::claims_of({"", {"echo-*"}, {"echo-*"}, false, 3h}, now).value(), "")
                .value();
  const auto head = head_of(s);
  engine_process engine(s.rowcall, s.database, s.nats);
  figures found;
  const auto wants = [&](const char* name) { return s.only.empty() || s.only == name; };
  if (wants("latency"))
    compare(
        s, found, "us", [&] { return http_latency_us(s); }, [&] { return client_latency_us(s); });
  if (wants("submit"))
    compare(
        s, found, "submit_per_s", [&] { return http_rate(s); }, [&] { return client_rate(s); });
  if (wants("streams")) {
    measure_streams(s, found, 100, "gateway_shared_streams");
    measure_streams(s, found, s.streams, "gateway_streams");
  }
  found.print(stdout, head);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace rowcall::bench

int main(int argc, char** argv) {
  rowcall::bench::settings s;
  const auto from_environment = [](const char* name) {
    return std::getenv(name) != nullptr ? std::string{std::getenv(name)} : std::string{};
  };
  s.database = from_environment("ROWCALL_DATABASE_URL");
  s.nats = from_environment("ROWCALL_NATS_URL");
  s.prefix = from_environment("ROWCALL_SUBJECT_PREFIX");
  try {
    if (argc % 2 == 0) throw std::invalid_argument(argv[argc - 1]);
    for (int i = 1; i + 1 < argc; i += 2) {
      const std::string name = argv[i], value = argv[i + 1];
      if (name == "--rowcall")
        s.rowcall = value;
      else if (name == "--streams")
        s.streams = std::stoul(value);
      else if (name == "--rounds")
        s.rounds = std::stoi(value);
      else if (name == "--singles")
        s.singles = std::stoul(value);
      else if (name == "--submit-s")
        s.submit_s = std::stoi(value);
      else if (name == "--idle-s")
        s.idle_s = std::stoi(value);
      else if (name == "--commit")
        s.commit = value;
      else if (name == "--only" && (value == "streams" || value == "latency" || value == "submit"))
        s.only = value;
      else
        throw std::invalid_argument(name);
    }
  } catch (const std::exception& wrong) {
    std::fprintf(stderr, "wrong option or value: %s\n", wrong.what());
    return 2;
  }
  if (s.database.empty() || s.nats.empty() || s.rowcall.empty()) {
    std::fprintf(stderr, "give --rowcall, and ROWCALL_DATABASE_URL and ROWCALL_NATS_URL in the environment\n");
    return 2;
  }
  try {
    return rowcall::bench::run(s);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
