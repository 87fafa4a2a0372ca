#include "tests/tools/rowcall/run_rowcall.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

extern char** environ;

namespace rowcall::test {
namespace {

using steady = std::chrono::steady_clock;

std::vector<std::string> environment_with(const std::vector<std::string>& added) {
  std::vector<std::string> all;
  for (char** e = environ; *e != nullptr; ++e)
    if (std::strncmp(*e, "ROWCALL_", 8) != 0) all.emplace_back(*e);
  all.insert(all.end(), added.begin(), added.end());
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& t : texts) out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

/// Forks and executes rowcall with the three descriptors in place.
pid_t start(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int in, int out,
            int err) {
  std::vector<std::string> argv{ROWCALL_BINARY};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto env = environment_with(environment);
  auto argv_pointers = pointers(argv), env_pointers = pointers(env);
  const auto pid = fork();
  if (pid < 0) throw std::runtime_error{"fork failed"};
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(in, 0), dup2(out, 1), dup2(err, 2);
  execve(argv_pointers[0], argv_pointers.data(), env_pointers.data());
  _exit(127);
}

struct pipe_ends {
  int read = -1, write = -1;
  pipe_ends() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) throw std::runtime_error{"pipe failed"};
    read = fds[0], write = fds[1];
  }
};

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::vector<std::string> run_result::lines() const {
  std::vector<std::string> all;
  for (std::size_t begin = 0, end; (end = out.find('\n', begin)) != std::string::npos; begin = end + 1)
    all.push_back(out.substr(begin, end - begin));
  return all;
}

run_result run_rowcall(std::vector<std::string> arguments, std::vector<std::string> environment,
                       const std::string& input) {
  signal(SIGPIPE, SIG_IGN);
  pipe_ends in, out, err;
  const auto pid = start(arguments, environment, in.read, out.write, err.write);
  close(in.read), close(out.write), close(err.write);
  fcntl(in.write, F_SETFL, O_NONBLOCK);
  run_result result;
  std::size_t written = 0;
  if (input.empty()) close(in.write), in.write = -1;
  const auto deadline = steady::now() + std::chrono::seconds{60};
  while ((out.read >= 0 || err.read >= 0) && steady::now() < deadline) {
    std::array<pollfd, 3> fds{{{out.read, POLLIN, 0}, {err.read, POLLIN, 0}, {in.write, POLLOUT, 0}}};
    poll(fds.data(), fds.size(), 100);
    const auto drain = [](const pollfd& p, int& fd, std::string& to) {
      if (p.revents == 0) return;
      char bytes[65536];
      const auto count = read(fd, bytes, sizeof bytes);
      if (count > 0)
        to.append(bytes, static_cast<std::size_t>(count));
      else
        close(fd), fd = -1;
    };
    drain(fds[0], out.read, result.out);
    drain(fds[1], err.read, result.err);
    if (fds[2].revents != 0) {
      const auto count = ::write(in.write, input.data() + written, input.size() - written);
      if (count > 0) written += static_cast<std::size_t>(count);
      if (count <= 0 || written == input.size()) close(in.write), in.write = -1;
    }
  }
  for (const int fd : {in.write, out.read, err.read})
    if (fd >= 0) close(fd);
  const bool in_time = steady::now() < deadline;
  if (!in_time) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  if (!in_time) throw std::runtime_error{"rowcall did not end in time: " + result.out + result.err};
  result.exit_code = exit_code_of(status);
  return result;
}

run_result run_rowcall_into(int out, std::vector<std::string> arguments, std::vector<std::string> environment) {
  signal(SIGPIPE, SIG_IGN);
  pipe_ends in, err;
  const auto pid = start(arguments, environment, in.read, out, err.write);
  close(in.read), close(in.write), close(err.write);
  run_result result;
  const auto deadline = steady::now() + std::chrono::seconds{60};
  for (bool is_open = true; is_open && steady::now() < deadline;) {
    pollfd p{err.read, POLLIN, 0};
    if (poll(&p, 1, 100) <= 0) continue;
    char bytes[65536];
    const auto count = read(err.read, bytes, sizeof bytes);
    is_open = count > 0;
    if (is_open) result.err.append(bytes, static_cast<std::size_t>(count));
  }
  close(err.read);
  if (steady::now() >= deadline) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  result.exit_code = exit_code_of(status);
  return result;
}

running_rowcall::running_rowcall(std::vector<std::string> arguments, std::vector<std::string> environment) {
  ::signal(SIGPIPE, SIG_IGN);
  pipe_ends in, out;
  pid_ = start(arguments, environment, in.read, out.write, out.write);
  close(in.read), close(out.write);
  to_ = in.write, from_ = out.read;
}

running_rowcall::~running_rowcall() {
  close_input();
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
  }
  close(from_);
}

void running_rowcall::write(const std::string& text) {
  if (::write(to_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error{"write failed"};
}

void running_rowcall::close_input() {
  if (to_ >= 0) close(to_);
  to_ = -1;
}

void running_rowcall::signal(int number) { kill(pid_, number); }

bool running_rowcall::read_some(std::chrono::milliseconds timeout) {
  pollfd p{from_, POLLIN, 0};
  if (poll(&p, 1, static_cast<int>(timeout.count())) <= 0) return true;
  char bytes[65536];
  const auto count = read(from_, bytes, sizeof bytes);
  if (count <= 0) return false;
  output_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

bool running_rowcall::wait_for(const std::string& text, std::chrono::milliseconds deadline) {
  const auto end = steady::now() + deadline;
  while (true) {
    if (const auto at = output_.find(text, looked_at_); at != std::string::npos) {
      looked_at_ = at + text.size();
      return true;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady::now());
    if (left.count() <= 0 || !read_some(left)) return output_.find(text, looked_at_) != std::string::npos;
  }
}

int running_rowcall::wait(std::chrono::milliseconds deadline) {
  const auto end = steady::now() + deadline;
  while (steady::now() < end && read_some(std::chrono::milliseconds{100})) {
  }
  int status = 0;
  if (waitpid(pid_, &status, steady::now() < end ? 0 : WNOHANG) != pid_) return -1;
  pid_ = -1;
  return exit_code_of(status);
}

}  // namespace rowcall::test
