#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/logging.hpp"
#include "tools/rowcall/main.hpp"

namespace rowcall::tools {

int run_main(int argc, char** argv, engine::module_registry modules) {
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

}  // namespace rowcall::tools
