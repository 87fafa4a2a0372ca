#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/logging.hpp"
#include "tools/rowcall/main.hpp"

namespace rowcall::tools {
namespace {

/// Nobody reads any more (`| head`): whoever closed the pipe knows.
bool is_pipe_closed() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

/// What did not reach stdout (a full disk) was not done for whoever reads it: says so, and makes 0 a 1.
int with_output_written(int code) {
  const bool is_flushed = std::fflush(stdout) == 0;
  const std::string reason = is_flushed ? "" : std::string{": "} + std::strerror(errno);
  if ((is_flushed && std::ferror(stdout) == 0) || is_pipe_closed()) return code;
  std::fprintf(stderr, "rowcall: the output could not be written%s\n", reason.c_str());
  return code == static_cast<int>(exit_code::ok) ? static_cast<int>(exit_code::failed) : code;
}

int run_command(int argc, char** argv, engine::module_registry modules) {
  try {
    // Character widths in the terminal chat; numbers stay in the C locale.
    if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
    auto read = read_command_line(argc, argv);
    if (const auto* ended = std::get_if<int>(&read)) return *ended;
    const auto& [global, action] = std::get<invocation>(read);
    start_logging(global.log);
    const auto code = std::visit(
        [&, &global = global](const auto& options) {
          if constexpr (std::is_same_v<std::decay_t<decltype(options)>, serve_options>)
            return run(global, options, std::move(modules));
          else if constexpr (std::is_same_v<std::decay_t<decltype(options)>, gateway_options>)
            return run(global, options, modules);
          else
            return run(global, options);
        },
        action);
    return static_cast<int>(code);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rowcall: unexpected error: %s\n", e.what());
    return static_cast<int>(exit_code::failed);
  }
}

}  // namespace

int run_main(int argc, char** argv, engine::module_registry modules) {
  return with_output_written(run_command(argc, argv, std::move(modules)));
}

}  // namespace rowcall::tools
