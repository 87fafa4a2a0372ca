#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/support/eventually.hpp"
#include "tests/support/servers.hpp"

namespace rowcall::support {

namespace {

struct identity {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
};

identity identity_of(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) throw std::runtime_error("there is no user " + name + " on this machine");
  identity found{entry->pw_uid, entry->pw_gid, std::vector<gid_t>(64)};
  int count = static_cast<int>(found.groups.size());
  if (::getgrouplist(name.c_str(), found.group, found.groups.data(), &count) < 0) count = 1;
  found.groups.resize(static_cast<std::size_t>(count));
  return found;
}

std::string resolved(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  const char* path = std::getenv("PATH");
  std::istringstream folders(std::string{path == nullptr ? "" : path} + ":/usr/local/sbin:/usr/sbin:/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const auto candidate = folder + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  throw std::runtime_error(program + " is not installed; run tools/setup/packages --tests");
}

/// Removes at the end of the process what make_directory has made.
class directories {
 public:
  directories() = default;
  ~directories() {
    std::error_code ignored;  // what can not be removed stays in /tmp
    for (const auto& [path, process] : paths_) {
      // A fork's child that ends with exit() has its parent's list as well.
      if (process == ::getpid()) std::filesystem::remove_all(path, ignored);
    }
  }
  directories(const directories&) = delete;
  void remember(std::string path) {
    const std::lock_guard lock{mutex_};
    paths_.emplace_back(std::move(path), ::getpid());
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::string, pid_t>> paths_;
};

directories& directories_of_this_process() {
  static directories all;
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& s : strings) result.push_back(s.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

process::process(std::vector<std::string> argv, options how) {
  // Everything that allocates happens before the fork: the child of a threaded process may only make system calls.
  const auto program = resolved(argv.at(0));
  const bool change_user = ::geteuid() == 0 && !how.user_if_root.empty();
  const auto user = change_user ? identity_of(how.user_if_root) : identity{};
  std::vector<std::string> environment;
  for (char** e = environ; *e != nullptr; ++e) environment.emplace_back(*e);
  for (const auto& e : how.environment) {
    const auto key = e.substr(0, e.find('=') + 1);
    std::erase_if(environment, [&](const std::string& known) { return known.rfind(key, 0) == 0; });
    environment.push_back(e);
  }
  const auto arguments = pointers(argv);
  const auto variables = pointers(environment);
  const std::string output = how.output.empty() ? "/dev/null" : how.output;
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (out < 0 || in < 0) throw std::runtime_error("can not open " + output + ": " + std::strerror(errno));
  const pid_t parent = ::getpid();

  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    if (change_user && (::setgroups(user.groups.size(), user.groups.data()) != 0 || ::setgid(user.group) != 0 ||
                        ::setuid(user.user) != 0 || ::chdir("/") != 0)) {
      ::_exit(126);
    }
    // After the change of user, which would clear it.
    ::prctl(PR_SET_PDEATHSIG, how.signal_on_parent_death);
    if (::getppid() != parent) ::_exit(125);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(program.c_str(), arguments.data(), variables.data());
    ::_exit(127);
  }
  const int error = errno;
  ::close(out);
  ::close(in);
  if (pid_ < 0) throw std::runtime_error(std::string{"fork: "} + std::strerror(error));
}

process::process(process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(std::exchange(other.status_, {})) {}

process& process::operator=(process&& other) noexcept {
  if (this != &other) {
    kill9();
    pid_ = std::exchange(other.pid_, -1);
    status_ = std::exchange(other.status_, {});
  }
  return *this;
}

process::~process() { kill9(); }

bool process::running() {
  if (pid_ <= 0 || status_) return false;
  int status = 0;
  const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == 0) return true;
  status_ = reaped < 0 ? 255 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

void process::signal(int number) {
  // A reaped child's pid may belong to somebody else by now.
  if (running()) ::kill(pid_, number);
}

std::optional<int> process::wait(std::chrono::milliseconds deadline) {
  if (!eventually(deadline, [this] { return !running(); })) return std::nullopt;
  return status_;
}

void process::kill9() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = 128 + SIGKILL;
}

void run_to_end(std::vector<std::string> argv, process::options how, std::chrono::milliseconds deadline) {
  const auto name = argv.at(0);
  const auto output = how.output;
  process child(std::move(argv), std::move(how));
  const auto code = child.wait(deadline);
  if (code == 0) return;
  throw std::runtime_error(name + (code ? " failed with " + std::to_string(*code) : std::string{" did not end in time"}) +
                           "\n" + tail_of(output));
}

int free_port() {
  std::random_device random;
  std::uniform_int_distribution<int> ports{10'000, 29'999};
  for (int attempt = 0; attempt < 1'000; ++attempt) {
    const int port = ports(random);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
  throw std::runtime_error("no free TCP port between 10000 and 29999");
}

std::string make_directory() {
  // Below the shared servers' folder, where there is one: what a killed test leaves goes with them.
  const auto shared = shared_server_value_or_empty("BASE");
  std::string path = shared.empty() ? "/tmp/rowcall-test-XXXXXX" : shared + "/test-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("can not make the directory " + path);
  ::chmod(path.c_str(), 0755);
  directories_of_this_process().remember(path);
  return path;
}

std::string tail_of(const std::string& path, std::size_t bytes) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.size() > bytes ? "…" + text.substr(text.size() - bytes) : text;
}

}  // namespace rowcall::support
