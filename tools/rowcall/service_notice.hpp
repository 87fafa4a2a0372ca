#pragma once

#include <string_view>

namespace rowcall::tools {

/// Tells the service manager that started this process (systemd, Type=notify) how it stands: "READY=1", "STOPPING=1",
/// "STATUS=…". Nothing when there is none (NOTIFY_SOCKET is not set). See sd_notify(3).
void tell_service_manager(std::string_view state);

}  // namespace rowcall::tools
