#include <algorithm>
#include <charconv>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/operator_api.hpp"
#include "gateway/internal/update_text.hpp"

/// What failed: held commands and dead letters, and what an operator does about the latter.
namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;

constexpr std::size_t page_default = 50, page_max = 200;
constexpr std::size_t acts_max = 200;  ///< letters of one request
constexpr std::size_t text_bytes_max = 200;

/// `<us since 1970>:<session>:<command>`: a place in the list of dead letters.
std::string place_text(const engine::letter_place& p) {
  return std::to_string(p.failed_at.time_since_epoch().count()) + ':' + p.session + ':' + std::to_string(p.command);
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n < 0 || text.front() == '-') return std::nullopt;
  return n;
}

std::optional<engine::letter_place> read_place(std::string_view text) {
  const auto first = text.find(':'), last = text.rfind(':');
  if (first == text.npos || first == last) return std::nullopt;
  const auto at = number_of(text.substr(0, first)), command = number_of(text.substr(last + 1));
  const auto session = text.substr(first + 1, last - first - 1);
  // Beyond the year 10000 PostgreSQL would have its own opinion.
  if (!at || *at > 253'402'300'799'000'000 || !command || !engine::session_id::parse(session)) return std::nullopt;
  return engine::letter_place{engine::db_time{std::chrono::microseconds{*at}}, std::string{session}, *command};
}

/// Above all letters.
engine::letter_place top() {
  return {engine::db_time{std::chrono::microseconds{253'402'300'799'000'000}}, "~", INT64_MAX};
}

bool is_text(std::string_view text) { return text.size() <= text_bytes_max && text.find('\0') == text.npos; }

/// Parameters of a list. False: it was answered.
bool read_filter(const exchange_ptr& e, engine::letter_filter& f, engine::letter_place& below, std::size_t& limit) {
  const auto& request = e->request();
  const auto bad = [&](std::string text) {
    e->answer(problem(400, "bad-request", std::move(text)));
    return false;
  };
  if (!read_limit(e, page_max, limit)) return false;
  f.session_prefix = request.parameter("session").value_or("");
  f.type = request.parameter("type").value_or("");
  f.error_part = request.parameter("error").value_or("");
  if (!is_prefix(f.session_prefix)) return bad("session must be the beginning of a session's id");
  if (!f.type.empty() && !engine::is_valid_type(f.type)) return bad("type must be a command's type");
  if (!is_text(f.error_part)) return bad("error must have 200 bytes at most");
  const auto resolved = request.parameter("resolved").value_or("false");
  if (resolved != "true" && resolved != "false") return bad("resolved is true or false");
  f.with_resolved = resolved == "true";
  if (const auto given = request.parameter("below")) {
    const auto place = read_place(*given);
    if (!place) return bad("below must be what another page called next, or a letter's place");
    below = *place;
  }
  return true;
}

void append_letter(json::writer& w, const engine::listed_letter& l) {
  const auto& d = l.letter;
  w.begin_object().key("session").string(d.session.str()).key("command_seq").number(d.command.value);
  w.key("type").string(d.type).key("data");
  if (d.data.empty())
    w.null();
  else
    w.raw(d.data);
  w.key("error").string(d.error).key("attempts").number(static_cast<std::int64_t>(d.attempts));
  w.key("failed_at")
      .string(time_text(d.failed_at))
      .key("resolution")
      .string(d.resolution.empty() ? "open" : d.resolution);
  w.key("redriven_seq").number(l.redriven.value);
  w.key("place").string(place_text({d.failed_at, d.session.str(), d.command.value})).end_object();
}

// ---------------------------------------------------------------- redrive and drop

struct letter_id {
  engine::session_id session;
  engine::command_seq command;
};

/// Which letters: named ones, or those that fit a filter, from a place of the list on downwards.
struct act_request {
  std::vector<letter_id> letters;
  std::optional<engine::letter_filter> filter;
  engine::letter_place from;  ///< this one as well
};

/// The members of an object, all of them known. Nothing otherwise.
bool has_only(const json::object& o, std::initializer_list<std::string_view> names) {
  for (const auto& field : o)
    if (std::find(names.begin(), names.end(), field.key) == names.end()) return false;
  return true;
}

engine::result<std::vector<letter_id>> read_letters(const json::value& value) {
  const auto invalid = [](std::string why) { return engine::fail(engine::errc::invalid_argument, std::move(why)); };
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS) return invalid("letters must be an array");
  std::vector<letter_id> out;
  for (const auto item : items) {
    json::object o;
    if (item.get(o) != simdjson::SUCCESS || !has_only(o, {"session", "command_seq"}))
      return invalid("a letter is {\"session\":\"…\",\"command_seq\":n}");
    const auto session = json::string_at(o, "session");
    const auto command = json::int_at(o, "command_seq");
    auto id = engine::session_id::parse(session.value_or(""));
    if (!id || !command || *command < 1) return invalid("a letter is {\"session\":\"…\",\"command_seq\":n}");
    out.push_back({*std::move(id), {*command}});
  }
  if (out.empty() || out.size() > acts_max) return invalid("letters: from 1 to " + std::to_string(acts_max));
  return out;
}

engine::result<act_request> read_act(const json::object& body) {
  const auto invalid = [](std::string why) { return engine::fail(engine::errc::invalid_argument, std::move(why)); };
  act_request r;
  json::value letters, filter;
  const bool has_letters = body.at_key("letters").get(letters) == simdjson::SUCCESS;
  const bool has_filter = body.at_key("filter").get(filter) == simdjson::SUCCESS;
  if (has_letters == has_filter) return invalid("give letters, or a filter and from");
  if (has_letters) {
    if (!has_only(body, {"letters"})) return invalid("letters go alone");
    auto read = read_letters(letters);
    if (!read) return tl::make_unexpected(read.error());
    r.letters = *std::move(read);
    return r;
  }
  json::object f;
  const auto from = json::string_at(body, "from");
  const auto place = from ? read_place(*from) : std::nullopt;
  // Without it, what fails again while this goes on would be taken up again and again.
  if (!place) return invalid("a filter needs from: the place of the newest letter that is meant");
  if (!has_only(body, {"filter", "from"}) || filter.get(f) != simdjson::SUCCESS ||
      !has_only(f, {"session", "type", "error"}))
    return invalid("a filter has session, type and error");
  for (const auto& field : f)
    if (!field.value.is_string()) return invalid("a filter's members are strings");
  r.from = *place;
  r.filter.emplace();
  r.filter->session_prefix = json::string_at(f, "session").value_or("");
  r.filter->type = json::string_at(f, "type").value_or("");
  r.filter->error_part = json::string_at(f, "error").value_or("");
  if (!is_prefix(r.filter->session_prefix) || (!r.filter->type.empty() && !engine::is_valid_type(r.filter->type)) ||
      !is_text(r.filter->error_part))
    return invalid("the filter fits no letter");
  return r;
}

using act_function = std::function<engine::result<engine::command_seq>(reader_stores&, const letter_id&)>;

http_answer act(reader_stores& stores, const act_request& r, const act_function& do_one) {
  auto letters = r.letters;
  std::optional<engine::letter_place> next;
  if (r.filter) {
    auto below = r.from;
    ++below.command;
    auto page = stores.console->letters(*r.filter, below, acts_max);
    if (!page) return operator_problem(page.error());
    for (const auto& l : page->letters) letters.push_back({l.letter.session, l.letter.command});
    next = page->next;
    if (next) --next->command;  // `from` is meant as well, and this one was looked at
  }
  json::writer done, failed;
  done.begin_array();
  failed.begin_array();
  for (const auto& l : letters) {
    const auto result = do_one(stores, l);
    auto& w = result ? done : failed;
    w.begin_object().key("session").string(l.session.str()).key("command_seq").number(l.command.value);
    if (!result)
      w.key("detail").string(result.error().message);
    else if (result->value > 0)
      w.key("redriven_seq").number(result->value);
    w.end_object();
    // Those that follow would fare no better.
    if (!result && engine::is_transient(result.error().code)) return operator_problem(result.error());
  }
  json::writer w;
  w.begin_object()
      .key("done")
      .raw(std::move(done.end_array()).str())
      .key("failed")
      .raw(std::move(failed.end_array()).str());
  w.key("next");
  if (next)
    w.string(place_text(*next));
  else
    w.null();
  w.end_object();
  return json_answer(200, std::move(w).str());
}

void act_on_letters(context& c, const exchange_ptr& e, std::string_view what, act_function do_one) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  const auto body = c.parser.parse_object(e->request().body);
  if (!body) return e->answer(problem(400, "bad-request", body.error().message));
  const auto request = read_act(*body);
  if (!request) return e->answer(problem(422, "invalid-request", request.error().message));
  // Whoever does it stands in the log.
  c.ports.log(engine::log_level::info,
              "operator '" + who->user + "' (key " + who->key + ") " + std::string{what} + "s dead letters: " +
                  (request->filter ? "those of a filter" : std::to_string(request->letters.size())));
  work_for_operator(c, e, [request = *request, do_one = std::move(do_one)](reader_stores& stores) {
    return act(stores, request, do_one);
  });
}

}  // namespace

void get_retries(context& c, const exchange_ptr& e) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  std::size_t limit = page_default;
  if (!read_limit(e, page_max, limit)) return;
  const std::string prefix{e->request().parameter("session").value_or("")};
  const std::string after{e->request().parameter("after").value_or("")};
  if (!is_prefix(prefix) || !is_prefix(after))
    return e->answer(problem(400, "bad-request", "session and after must be the beginning of a session's id"));
  work_for_operator(c, e, [=](reader_stores& stores) {
    auto held = stores.console->held(after, prefix, limit + 1);
    if (!held) return operator_problem(held.error());
    const bool has_more = held->size() > limit;
    if (has_more) held->pop_back();
    json::writer w;
    w.begin_object().key("retries").begin_array();
    for (const auto& h : *held) {
      w.begin_object().key("session").string(h.session.str()).key("command_seq").number(h.retry.command.value);
      w.key("type").string(h.type).key("submitted_at");
      if (h.type.empty())
        w.null();
      else
        w.string(time_text(h.submitted_at));
      w.key("attempts").number(static_cast<std::int64_t>(h.retry.attempts));
      w.key("next_in_ms")
          .number(static_cast<std::int64_t>(h.retry.wait.count()))
          .key("error")
          .string(h.retry.last_error);
      w.key("armed_by").string(h.retry.armed_by).end_object();
    }
    w.end_array().key("more").boolean(has_more).end_object();
    return json_answer(200, std::move(w).str());
  });
}

void get_letters(context& c, const exchange_ptr& e) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  engine::letter_filter filter;
  auto below = top();
  std::size_t limit = page_default;
  if (!read_filter(e, filter, below, limit)) return;
  const bool gzip = wants_gzip(e->request(), gzip_always);
  work_for_operator(c, e, [=](reader_stores& stores) {
    const auto page = stores.console->letters(filter, below, limit);
    if (!page) return operator_problem(page.error());
    json::writer w;
    w.begin_object().key("letters").begin_array();
    for (const auto& l : page->letters) append_letter(w, l);
    w.end_array().key("next");
    if (page->next)
      w.string(place_text(*page->next));
    else
      w.null();
    w.end_object();
    return packed_json(std::move(w).str(), gzip);
  });
}

void get_letter(context& c, const exchange_ptr& e) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  std::optional<std::int64_t> command;
  if (!read_number(e, "command_seq", 1, command)) return;
  const auto session = engine::session_id::parse(e->request().parameter("session").value_or(""));
  if (!session || !command) return e->answer(problem(400, "bad-request", "session and command_seq say which letter"));
  work_for_operator(c, e, [session = *session, command = *command](reader_stores& stores) {
    const auto l = stores.console->letter_of(session, {command});
    if (!l) return operator_problem(l.error());
    json::writer w;
    append_letter(w, *l);
    return json_answer(200, std::move(w).str());
  });
}

void redrive_letters(context& c, const exchange_ptr& e) {
  act_on_letters(c, e, "redrive", [bus = c.ports.bus](reader_stores& stores, const letter_id& l) {
    auto seq = stores.admin->redrive(l.session, l.command);
    if (seq) {
      const engine::wake wake{l.session, *seq};
      bus->publish({&wake, 1});
    }
    return seq;
  });
}

void drop_letters(context& c, const exchange_ptr& e) {
  act_on_letters(c, e, "drop", [](reader_stores& stores, const letter_id& l) -> engine::result<engine::command_seq> {
    auto dropped = stores.admin->drop(l.session, l.command);
    if (!dropped) return tl::make_unexpected(dropped.error());
    return engine::command_seq{};
  });
}

}  // namespace rowcall::gateway::internal
