#include "tools/rowcall/log_line.hpp"

#include "engine/json.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

std::string utc_ms(std::chrono::sys_time<std::chrono::milliseconds> at) {
  auto text = format_time(engine::db_time{at.time_since_epoch()});  // "…12.345000Z"
  text.erase(text.size() - 4, 3);
  return text;
}

}  // namespace

std::string json_line(const log_record& r) {
  engine::json::writer w;
  w.begin_object().key("time").string(utc_ms(r.at)).key("level").string(r.level);
  w.key("message").string(sanitised(r.text));
  if (!r.about.event.empty()) w.key("event").string(sanitised(r.about.event));
  if (!r.about.session.empty()) w.key("session").string(sanitised(r.about.session));
  if (r.about.command.value > 0) w.key("command").number(r.about.command.value);
  if (!r.about.detail.empty()) w.key("detail").string(sanitised(r.about.detail));
  if (r.left_out > 0) w.key("left_out").number(static_cast<std::int64_t>(r.left_out));
  w.end_object();
  return std::move(w).str();
}

std::string line_text(const log_record& r) { return sanitised(r.text); }

std::string field_text(const log_record& r) {
  std::string out;
  if (!r.about.session.empty()) out += " session=" + sanitised(r.about.session);
  if (r.about.command.value > 0) out += " command=" + std::to_string(r.about.command.value);
  if (!r.about.detail.empty()) out += " detail=" + sanitised(r.about.detail);
  return out;
}

}  // namespace rowcall::tools
