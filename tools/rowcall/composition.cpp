#include "tools/rowcall/composition.hpp"

#include <spdlog/spdlog.h>

#include "tools/rowcall/service_notice.hpp"

namespace rowcall::tools {

engine::result<void> await_database(const global_options& global, stop_signal& stop) {
  constexpr milliseconds wait_max{500};  // as the engine waits for one that it had
  for (milliseconds wait{50};; wait = std::min(wait * 2, wait_max)) {
    auto checked = check_database(global.connection);
    if (checked || checked.error().code != engine::errc::unavailable) return checked;
    spdlog::warn("{} Trying again.", checked.error().message);
    tell_service_manager("STATUS=waiting for the database");
    if (stop.wait_for(wait)) return {};
  }
}

}  // namespace rowcall::tools
