#include "tools/rowcall/logging.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "tools/rowcall/log_limiter.hpp"
#include "tools/rowcall/log_line.hpp"

namespace rowcall::tools {
namespace {

/// What the line that this thread is writing is about; spdlog's formatters know only its text. spdlog formats on the
/// calling thread.
struct line_fields {
  engine::log_fields about;
  std::uint64_t left_out = 0;
};
thread_local const line_fields* current_fields = nullptr;

log_record record_of(const spdlog::details::log_msg& message) {
  log_record r;
  r.at = std::chrono::time_point_cast<std::chrono::milliseconds>(message.time);
  const auto level = spdlog::level::to_string_view(message.level);
  r.level = {level.data(), level.size()};
  r.text = {message.payload.data(), message.payload.size()};
  if (current_fields != nullptr) r.about = current_fields->about, r.left_out = current_fields->left_out;
  return r;
}

void append(spdlog::memory_buf_t& out, const std::string& text) { out.append(text.data(), text.data() + text.size()); }

class json_formatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    append(out, json_line(record_of(message)) + '\n');
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<json_formatter>(); }
};

/// The text on one line, whatever it quotes.
class text_flag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    append(out, line_text(record_of(message)));
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<text_flag>(); }
};

class field_flag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    append(out, field_text(record_of(message)));
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<field_flag>(); }
};

struct limited_log {
  std::mutex mutex;
  log_options options;
  log_limiter limiter{{}};
};

limited_log& shared_log() {
  static limited_log log;
  return log;
}

spdlog::level::level_enum spdlog_level(engine::log_level level) {
  switch (level) {
    case engine::log_level::debug:
      return spdlog::level::debug;
    case engine::log_level::info:
      return spdlog::level::info;
    case engine::log_level::warning:
      return spdlog::level::warn;
    case engine::log_level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

void write(spdlog::level::level_enum level, std::string_view text, const line_fields& fields) {
  current_fields = &fields;
  spdlog::log(level, "{}", text);
  current_fields = nullptr;
}

void write_limited(engine::log_level level, std::string_view text, engine::log_fields about) {
  if (!spdlog::should_log(spdlog_level(level))) return;
  report_left_out();
  auto& log = shared_log();
  {
    const std::lock_guard lock{log.mutex};
    if (!log.limiter.admits(about.event.empty() ? text : about.event, std::chrono::steady_clock::now())) return;
  }
  if (!log.options.data) about.detail = {};
  write(spdlog_level(level), text, {about, 0});
}

}  // namespace

void start_logging(const log_options& options) {
  auto& log = shared_log();
  log.options = options;
  log.limiter = log_limiter{{options.repeat_max, options.repeat_period}};
  spdlog::set_default_logger(spdlog::stderr_logger_mt("rowcall"));
  if (options.format == "json") {
    spdlog::set_formatter(std::make_unique<json_formatter>());
  } else {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<text_flag>('q').add_flag<field_flag>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %q%*");
    spdlog::set_formatter(std::move(formatter));
  }
  spdlog::set_level(spdlog::level::from_str(options.level));
  spdlog::flush_on(spdlog::level::trace);
}

engine::log_sink make_log_sink() { return engine::log_sink{write_limited}; }

void warn_waiting(std::string_view event, std::string_view text) {
  auto& log = shared_log();
  {
    const std::lock_guard lock{log.mutex};
    if (!log.limiter.admits_one(event, std::chrono::steady_clock::now())) return;
  }
  write(spdlog::level::warn, text, {{event, {}, {}, {}}, 0});
}

void report_left_out(bool at_end) {
  auto& log = shared_log();
  std::vector<log_limiter::left_out> left_out;
  {
    const std::lock_guard lock{log.mutex};
    left_out = at_end ? log.limiter.take_all() : log.limiter.take_ended(std::chrono::steady_clock::now());
  }
  for (const auto& l : left_out) {
    const auto text =
        std::to_string(l.count) + " more lines like this were left out: " + (l.key.empty() ? "several kinds" : l.key);
    write(spdlog::level::warn, text, {{l.key, {}, {}, {}}, l.count});
  }
}

}  // namespace rowcall::tools
