#include "tools/rowcall/composition.hpp"

#include <spdlog/spdlog.h>

#include "tools/rowcall/service_notice.hpp"

namespace rowcall::tools {

engine::result<void> await_database(const global_options& global, stop_signal& stop) {
  constexpr milliseconds wait_max{500};  // as the engine waits for one that it had
  constexpr milliseconds told_every{10'000};
  std::string told;
  std::chrono::steady_clock::time_point told_at{};
  for (milliseconds wait{50};; wait = std::min(wait * 2, wait_max)) {
    auto checked = check_database(global.connection);
    if (checked || checked.error().code != engine::errc::unavailable) return checked;
    if (const auto now = std::chrono::steady_clock::now();
        checked.error().message != told || now >= told_at + told_every) {
      told = checked.error().message;
      told_at = now;
      spdlog::warn("{} Trying again.", told);
    }
    tell_service_manager("STATUS=waiting for the database");
    if (stop.wait_for(wait)) return {};
  }
}

}  // namespace rowcall::tools
