#include "tools/rowcall/composition.hpp"

#include <spdlog/spdlog.h>

namespace rowcall::tools {

void log_line(engine::log_level level, std::string_view text) {
  switch (level) {
    case engine::log_level::debug:
      spdlog::debug("{}", text);
      return;
    case engine::log_level::info:
      spdlog::info("{}", text);
      return;
    case engine::log_level::warning:
      spdlog::warn("{}", text);
      return;
    case engine::log_level::error:
      spdlog::error("{}", text);
      return;
  }
}

engine::result<void> await_database(const global_options& global, stop_signal& stop) {
  constexpr milliseconds wait_max{2'000};
  for (milliseconds wait{100};; wait = std::min(wait * 2, wait_max)) {
    auto checked = check_database(global.connection);
    if (checked || checked.error().code != engine::errc::unavailable) return checked;
    spdlog::warn("{} Trying again.", checked.error().message);
    if (stop.wait_for(wait)) return {};
  }
}

}  // namespace rowcall::tools
