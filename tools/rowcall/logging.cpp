#include "tools/rowcall/logging.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace rowcall::tools {

void start_logging(const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("rowcall"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::flush_on(spdlog::level::trace);
}

}  // namespace rowcall::tools
