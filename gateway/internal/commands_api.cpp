#include <algorithm>
#include <atomic>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/chat_rules.hpp"

/// POST /v1/sessions/{id}/commands: checked, stored in the submitter's group commits, answered with receipts.
///
///   body ─► requests ─► [wait: the session is followed] ─► submit_async each ─► all stored ─► [receipts from the feed]
///   ─► answer
namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;
using engine::errc;
using steady = std::chrono::steady_clock;

constexpr std::size_t key_bytes_max = 180;  // leaves room for "/99"

struct invalid {
  std::size_t index;
  std::string detail;
};

/// A request's commands on their way. Of the io thread, but for `outcomes` while they are being stored.
struct submission {
  context& c;
  exchange_ptr e;
  engine::session_id session;
  std::vector<engine::command_request> requests;
  std::vector<client::submitter::outcome> outcomes;
  std::size_t open = 0;  ///< commands that are not stored yet, then receipts that are not there yet
  std::optional<milliseconds> wait;
  steady::time_point until{};
  std::vector<std::vector<event_ptr>> receipts;
};
using submission_ptr = std::shared_ptr<submission>;

std::string invalid_members(const std::vector<invalid>& errors) {
  json::writer w;
  w.begin_array();
  for (const auto& error : errors)
    w.begin_object()
        .key("index")
        .number(static_cast<std::int64_t>(error.index))
        .key("detail")
        .string(error.detail)
        .end_object();
  w.end_array();
  return ",\"errors\":" + std::move(w).str();
}

/// A wait like `2s` or `500ms`. Only 0 needs no unit, as on the command line.
std::optional<milliseconds> read_wait(std::string_view text, milliseconds max) {
  std::int64_t n = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 9)
    n = n * 10 + (text[digits++] - '0');
  const auto unit = text.substr(digits);
  if (digits == 0 || (unit != "s" && unit != "ms" && (unit != "" || n != 0))) return std::nullopt;
  return std::min(unit == "ms" ? milliseconds{n} : milliseconds{n * 1'000}, max);
}

bool is_stored(const client::submitter::outcome& o) {
  return o &&
         (o->kind == engine::submit_receipt::outcome::stored || o->kind == engine::submit_receipt::outcome::duplicate);
}

void answer(submission& s) {
  std::string body = "{\"receipts\":[";
  bool is_complete = s.wait.has_value();
  for (std::size_t i = 0; i < s.outcomes.size(); ++i) {
    const auto& o = s.outcomes[i];
    if (!is_stored(o)) continue;
    if (body.back() == '}') body += ',';
    body +=
        "{\"session\":\"" + s.session.str() + "\",\"command_seq\":" + std::to_string(o->seq.value) + ",\"outcome\":\"";
    body += o->kind == engine::submit_receipt::outcome::duplicate ? "duplicate\"" : "stored\"";
    if (s.wait) {
      std::string updates;
      for (const auto& update : s.receipts[i]) updates += (updates.empty() ? "" : ",") + update->text;
      if (updates.empty())
        is_complete = false;
      else
        body += ",\"updates\":[" + updates + ']';
    }
    body += '}';
  }
  body += "]}";
  s.e->answer(json_answer(is_complete ? 200 : 202, std::move(body)));
}

/// Some were refused: what was stored is told all the same, the rest may be tried again with its keys.
void answer_refusal(submission& s, const client::submitter::outcome& refused) {
  http_answer a;
  if (!refused)
    a = problem_of(refused.error());
  else if (refused->kind == engine::submit_receipt::outcome::unknown_kind)
    a = problem(422, "unknown-kind",
                "no engine has ever served sessions of the kind '" + std::string{s.session.kind()} + "'");
  else
    a = problem_in(503, "busy", "too many commands are pending; try again later", refused->retry_after);
  std::string receipts;
  for (std::size_t i = 0; i < s.outcomes.size(); ++i) {
    if (!is_stored(s.outcomes[i])) continue;
    receipts += (receipts.empty() ? "" : ",");
    receipts += "{\"index\":" + std::to_string(i) + ",\"session\":\"" + s.session.str() +
                "\",\"command_seq\":" + std::to_string(s.outcomes[i]->seq.value) + "}";
  }
  if (!receipts.empty()) a.body.insert(a.body.size() - 1, ",\"receipts\":[" + receipts + ']');
  ++s.c.counters.commands_refused;
  s.e->answer(std::move(a));
}

void take_receipt(const submission_ptr& s, std::size_t index, std::vector<event_ptr> updates) {
  s->receipts[index] = std::move(updates);
  if (--s->open == 0) answer(*s);
}

/// The feed could not tell all of it: the log can.
void read_receipt(const submission_ptr& s, std::size_t index) {
  const bool posted = s->c.read(
      [session = s->session, command = s->outcomes[index]->seq](reader_stores& stores) {
        engine::result<std::vector<event_ptr>> events;
        const auto receipt = stores.updates->receipt_of(session, command);
        if (!receipt) return events = tl::make_unexpected(receipt.error());
        for (const auto& update : receipt->updates) events->push_back(make_event(session, update));
        return events;
      },
      [s, index](engine::result<std::vector<event_ptr>> events) {
        if (!events) log_failure(s->c.ports.log, "receipt_read_failed", events.error());
        take_receipt(s, index, events ? *std::move(events) : std::vector<event_ptr>{});
      });
  if (!posted) take_receipt(s, index, {});
}

void await_receipts(const submission_ptr& s) {
  s->receipts.resize(s->outcomes.size());
  s->open = s->outcomes.size();
  auto* const f = s->c.feeds->find(s->session);
  for (std::size_t i = 0; i < s->outcomes.size(); ++i) {
    if (f == nullptr) {
      read_receipt(s, i);
      continue;
    }
    s->c.feeds->wait_for(*f,
                         {s->outcomes[i]->seq.value, s->until, [s, i](std::vector<event_ptr> updates, bool is_certain) {
                            if (is_certain)
                              take_receipt(s, i, std::move(updates));
                            else
                              read_receipt(s, i);
                          }});
  }
}

void stored(const submission_ptr& s) {
  --s->c.submissions_open;
  for (const auto& o : s->outcomes)
    if (!is_stored(o)) return answer_refusal(*s, o);
  s->c.counters.commands += s->outcomes.size();
  if (s->c.is_draining) s->wait.reset();  // which has ended all waits; one that began now would hold the stop up
  if (s->wait)
    await_receipts(s);
  else
    answer(*s);
}

/// The outcomes come on the submitter's thread (a refusal at once); the last one brings the submission back to the io
/// thread.
void submit(const submission_ptr& s) {
  ++s->c.submissions_open;
  const auto count = s->requests.size();
  s->outcomes.assign(count, client::submitter::outcome{engine::submit_receipt{}});
  auto left = std::make_shared<std::atomic<std::size_t>>(count);
  auto held = std::make_shared<submission_ptr>(s);
  s->c.ports.submitter->submit_async(std::move(s->requests), [raw = s.get(), left, held, on_io = s->c.on_io](
                                                                 std::size_t i, client::submitter::outcome o) {
    raw->outcomes[i] = std::move(o);
    if (left->fetch_sub(1) != 1) return;
    on_io([held] { stored(std::exchange(*held, nullptr)); });
  });
}

/// Followed from its end on before anything is stored, so that the feed sees the receipts.
void follow_then_submit(const submission_ptr& s) {
  if (s->c.feeds->find(s->session) != nullptr) return submit(s);
  struct seen {
    engine::result<std::string> incarnation;
    engine::result<engine::session_cursor> last;
  };
  const bool posted = s->c.read(
      [session = s->session, known = s->c.feeds->incarnation()](reader_stores& stores) {
        auto incarnation = incarnation_of(stores, known);
        return seen{std::move(incarnation), stores.updates->last(session)};
      },
      [s](seen o) {
        if (!o.incarnation) return s->e->answer(problem_of(o.incarnation.error()));
        if (!o.last) return s->e->answer(problem_of(o.last.error()));
        if (!s->c.feeds->holds(*o.incarnation)) return s->e->answer(restored_meanwhile());
        s->c.feeds->open(s->session, o.last->update.value);
        submit(s);
      });
  if (!posted) s->e->answer(too_busy());
}

/// One command of the body. Errors: the detail, and whether it is a matter of what is allowed.
struct read_command {
  std::optional<engine::command_request> request;
  std::string detail;
  bool is_forbidden = false;
};

read_command command_of(const identity& who, const engine::session_id& session, const json::value& item,
                        std::size_t data_bytes_max) {
  json::object o;
  if (item.get(o) != simdjson::SUCCESS) return {{}, "a command is an object {\"type\", \"data\"}"};
  for (const auto field : o)
    if (field.key != "type" && field.key != "data" && field.key != "idempotency_key")
      return {{},
              "a command has no \"" + std::string{field.key}.substr(0, 64) + "\": only type, data and idempotency_key"};
  const auto type = json::string_at(o, "type");
  if (!type) return {{}, "the string \"type\" is missing"};
  engine::command_request request{session, std::string{*type}, "{}", std::nullopt};
  json::value data;
  const bool has_data = o.at_key("data").get(data) == simdjson::SUCCESS;
  if (has_data && !data.is_object()) return {{}, "\"data\" must be an object"};
  if (has_data || session.kind() == "chat" || session.kind() == "user") {
    static const std::string empty_object = "{}";
    thread_local json::parser empty_parser;
    if (!has_data) data = *empty_parser.parse(empty_object);
    auto text = command_data(who, session, *type, data);
    if (!text) return {{}, text.error().message, true};
    request.data = *std::move(text);
  }
  if (o.at_key("idempotency_key").error() != simdjson::NO_SUCH_FIELD) {
    const auto key = json::string_at(o, "idempotency_key");
    if (!key) return {{}, "\"idempotency_key\" must be a string"};
    request.idempotency_key = *key;
  }
  if (auto valid = engine::validate(request, data_bytes_max); !valid) return {{}, valid.error().message};
  return {std::move(request), {}, false};
}

}  // namespace

void submit_commands(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto who = identify(c, *e);
  if (!who) return;
  if (!may_submit(*who, session))
    return e->answer(problem(403, "forbidden", "this token does not allow to submit to " + session.str(),
                             ",\"session\":\"" + session.str() + "\""));
  const auto& request = e->request();
  const auto media = request.header("content-type");
  if (!accepts(media, "application/json"))
    return e->answer(problem(415, "unsupported-media-type", "commands are sent as application/json"));
  const auto header_key = request.header("idempotency-key");
  if (header_key.size() > key_bytes_max)
    return e->answer(
        problem(400, "bad-request", "an Idempotency-Key has at most " + std::to_string(key_bytes_max) + " bytes"));
  std::optional<milliseconds> wait;
  if (const auto given = request.parameter("wait")) {
    wait = read_wait(*given, c.config.wait_max);
    if (!wait)
      return e->answer(problem(400, "bad-request",
                               "wait is a number and a unit, like 2s or 500ms; the longest is " +
                                   std::to_string(c.config.wait_max.count() / 1'000) + "s"));
  }

  const auto body = c.parser.parse(request.body);
  if (!body) return e->answer(problem(400, "bad-request", "the body is no JSON: " + body.error().message));
  auto s = std::make_shared<submission>(submission{c, e, session, {}, {}, 0, wait, {}, {}});
  std::vector<invalid> errors;
  bool is_forbidden = false;
  simdjson::dom::array items;
  const bool is_array = body->get(items) == simdjson::SUCCESS;
  std::size_t count = 0;
  const auto take = [&](const json::value& item) {
    auto command = command_of(*who, session, item, c.config.data_bytes_max);
    if (!command.request) {
      errors.push_back({count, std::move(command.detail)});
      is_forbidden = is_forbidden || command.is_forbidden;
    } else {
      if (!header_key.empty() && !command.request->idempotency_key) {
        command.request->idempotency_key = std::string{header_key} + (is_array ? "/" + std::to_string(count) : "");
        if (auto valid = engine::validate(*command.request, c.config.data_bytes_max); !valid)
          errors.push_back({count, valid.error().message});
      }
      s->requests.push_back(*std::move(command.request));
    }
    ++count;
  };
  if (is_array) {
    for (const json::value item : items) {
      if (count >= c.config.batch_commands_max)
        return e->answer(problem(422, "invalid-command",
                                 "an array has at most " + std::to_string(c.config.batch_commands_max) + " commands"));
      take(item);
    }
    if (count == 0) return e->answer(problem(422, "invalid-command", "an array of commands has at least one"));
  } else {
    take(*body);
  }
  if (!errors.empty()) {
    if (is_forbidden) return e->answer(problem(403, "forbidden", errors.front().detail, invalid_members(errors)));
    return e->answer(
        problem(422, "invalid-command", "nothing was stored: " + errors.front().detail, invalid_members(errors)));
  }
  if (!take_rate(c, c.command_rate, *who, *e, static_cast<double>(count))) return;
  if (!wait) return submit(s);
  s->until = steady::now() + *wait;
  follow_then_submit(s);
}

}  // namespace rowcall::gateway::internal
