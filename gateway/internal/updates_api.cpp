#include <algorithm>
#include <charconv>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/positions.hpp"
#include "gateway/internal/update_text.hpp"

/// Reads of the log: pages, a session's end, its snapshot, the list of chats.
namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;
using engine::result;

constexpr std::size_t page_updates_default = 100;
constexpr std::size_t page_chats_max = 200;

/// What is read for an answer, and whether it may be given.
struct outcome {
  http_answer answer;
};

std::optional<std::int64_t> number_of(std::string_view text) {
  const auto n = read_position(text);
  return n && *n >= 0 ? n : std::nullopt;
}

/// After the read, so that what is shown is not younger than the check: still a member? Nothing when allowed.
std::optional<http_answer> refusal(reader_stores& stores, permission p, const std::string& user,
                                   const engine::session_id& session) {
  if (p == permission::granted) return std::nullopt;
  const auto chats = stores.chats->memberships(user, {session.str()});
  if (!chats) return problem_of(chats.error());
  if (!chats->empty()) return std::nullopt;
  return problem(403, "forbidden", "you are no member of " + session.str(), ",\"session\":\"" + session.str() + "\"");
}

void append_updates(std::string& out, const engine::session_id& session,
                    const std::vector<engine::update_row>& updates) {
  out += "\"updates\":[";
  bool is_first = true;
  for (const auto& update : updates) {
    if (!std::exchange(is_first, false)) out += ',';
    out += update_text(session, update);
  }
  out += ']';
}

/// `,"incarnation":…`: of the database as it was known before the read, so that a restore in between does not go
/// unseen.
std::string incarnation_member(const context& c) {
  const auto& incarnation = c.feeds->incarnation();
  if (incarnation.empty()) return {};
  json::writer w;
  w.begin_object().key("incarnation").string(incarnation).end_object();
  const auto text = std::move(w).str();
  return ',' + text.substr(1, text.size() - 2);
}

http_answer page_after(reader_stores& stores, const engine::session_id& session, std::int64_t after, std::size_t limit,
                       const std::string& members, bool gzip) {
  // One more than asked for tells whether there is more.
  auto page = stores.updates->updates_after(session, {after}, limit + 1);
  if (!page) return problem_of(page.error());
  if (page->gone) {
    const auto snapshot = stores.updates->snapshot(session);
    return snapshot ? gone(session, *snapshot) : problem_of(snapshot.error());
  }
  if (page->updates.empty() && after > 0) {
    const auto last = stores.updates->last(session);
    if (!last) return problem_of(last.error());
    // As a stream says it: whoever went on from there would see nothing, and take it for all there is.
    if (after > last->update.value) return beyond_end(session, last->update.value);
  }
  const bool has_more = page->updates.size() > limit;
  if (has_more) page->updates.pop_back();
  std::string body = "{\"session\":\"" + session.str() + "\",";
  append_updates(body, session, page->updates);
  body += ",\"next_after\":" + std::to_string(page->updates.empty() ? after : page->updates.back().seq.value);
  body += (has_more ? ",\"more\":true" : ",\"more\":false") + members + '}';
  return packed_json(std::move(body), gzip);
}

/// The updates before a seq are those after an earlier one: seqs have no gaps.
http_answer page_before(reader_stores& stores, const engine::session_id& session, std::int64_t before,
                        std::size_t limit, const std::string& members, bool gzip) {
  if (before == at_end) {
    const auto last = stores.updates->last(session);
    if (!last) return problem_of(last.error());
    before = last->update.value + 1;
  }
  before = std::max<std::int64_t>(before, 1);
  const auto count = std::min<std::int64_t>(before - 1, static_cast<std::int64_t>(limit));
  const auto after = before - 1 - count;
  engine::update_page page;
  bool is_gone = false;
  if (count > 0) {
    auto read = stores.updates->updates_after(session, {after}, static_cast<std::size_t>(count));
    if (!read) return problem_of(read.error());
    page = *std::move(read);
    is_gone = page.gone;
  }
  if (is_gone) {
    // What retention left of it: seqs are ascending, so halve to the first one that is there.
    std::int64_t low = after, high = before - 1;
    while (low + 1 < high) {
      const auto middle = low + (high - low) / 2;
      auto probe = stores.updates->updates_after(session, {middle}, static_cast<std::size_t>(before - 1 - middle));
      if (!probe) return problem_of(probe.error());
      if (probe->gone) {
        low = middle;
      } else {
        high = middle;
        page = *std::move(probe);
      }
    }
  }
  // A seq beyond the end of the log reads into nothing.
  std::erase_if(page.updates, [&](const auto& u) { return u.seq.value >= before; });
  const auto first = page.updates.empty() ? before : page.updates.front().seq.value;
  const bool has_more = !is_gone && first > 1 && !page.updates.empty();
  std::string body = "{\"session\":\"" + session.str() + "\",";
  append_updates(body, session, page.updates);
  body += ",\"prev_before\":" + std::to_string(first) + (has_more ? ",\"more\":true" : ",\"more\":false") +
          (is_gone ? ",\"gone\":true" : "") + members + '}';
  return packed_json(std::move(body), gzip);
}

/// Checks, rate, read on a reader thread, membership, answer: what all reads of one session have in common.
template <class Work>
void read_session(context& c, const exchange_ptr& e, const engine::session_id& session, Work work) {
  const auto who = identify(c, *e);
  if (!who) return;
  const auto p = may_follow(*who, session);
  if (p == permission::denied)
    return e->answer(problem(403, "forbidden", "this token does not allow to follow " + session.str(),
                             ",\"session\":\"" + session.str() + "\""));
  if (!take_rate(c, c.read_rate, *who, *e)) return;
  const bool posted = c.read(
      [work = std::move(work), p, user = who->user, session](reader_stores& stores) {
        outcome o{work(stores)};
        if (auto refused = refusal(stores, p, user, session)) o.answer = *std::move(refused);
        return o;
      },
      [e](outcome o) { e->answer(std::move(o.answer)); });
  if (!posted) e->answer(too_busy());
}

}  // namespace

std::optional<engine::session_id> session_of(std::string_view text, exchange& e) {
  auto session = engine::session_id::parse(text);
  if (session) return *std::move(session);
  e.answer(problem(404, "not-found", "no session has such an id: " + session.error().message));
  return std::nullopt;
}

void get_updates(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto& request = e->request();
  const auto bad = [&](std::string text) { e->answer(problem(400, "bad-request", std::move(text))); };
  std::size_t limit = page_updates_default;
  if (const auto given = request.parameter("limit")) {
    const auto n = number_of(*given);
    if (!n || *n == 0) return bad("limit must be a positive number");
    limit = static_cast<std::size_t>(std::min<std::int64_t>(*n, static_cast<std::int64_t>(c.config.page_updates_max)));
  }
  const bool gzip = wants_gzip(request, gzip_always);
  const auto members = incarnation_member(c);
  if (const auto given = request.parameter("before")) {
    if (request.parameter("after")) return bad("give after or before, not both");
    auto before = given->empty() ? std::optional{at_end} : read_position(*given);
    if (!before) return bad("before must be a seq, or `end`");
    if (*before == 0) before = at_end;
    return read_session(c, e, session, [=](reader_stores& stores) {
      return page_before(stores, session, *before, limit, members, gzip);
    });
  }
  std::int64_t after = 0;
  if (const auto given = request.parameter("after")) {
    const auto n = number_of(*given);
    if (!n) return bad("after must be a seq");
    after = *n;
  }
  read_session(c, e, session,
               [=](reader_stores& stores) { return page_after(stores, session, after, limit, members, gzip); });
}

void get_head(context& c, const exchange_ptr& e, const engine::session_id& session) {
  read_session(c, e, session, [session, members = incarnation_member(c)](reader_stores& stores) {
    const auto last = stores.updates->last(session);
    if (!last) return problem_of(last.error());
    return json_answer(200, "{\"session\":\"" + session.str() +
                                "\",\"last_seq\":" + std::to_string(last->update.value) +
                                ",\"last_command_seq\":" + std::to_string(last->command.value) + members + "}");
  });
}

void get_snapshot(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const bool gzip = wants_gzip(e->request(), gzip_always);
  read_session(c, e, session, [session, members = incarnation_member(c), gzip](reader_stores& stores) {
    const auto snapshot = stores.updates->snapshot(session);
    if (!snapshot) return problem_of(snapshot.error());
    const auto& s = *snapshot;
    return packed_json("{\"session\":\"" + session.str() + "\",\"seq\":" + std::to_string(s ? s->seq.value : 0) +
                           ",\"command_seq\":" + std::to_string(s ? s->command.value : 0) +
                           ",\"state\":" + (s ? s->state : "null") + members + "}",
                       gzip);
  });
}

void get_chats(context& c, const exchange_ptr& e) {
  const auto who = identify(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  const auto& request = e->request();
  std::size_t limit = 50;
  if (const auto given = request.parameter("limit")) {
    const auto n = number_of(*given);
    if (!n || *n == 0) return e->answer(problem(400, "bad-request", "limit must be a positive number"));
    limit = std::min<std::size_t>(static_cast<std::size_t>(*n), page_chats_max);
  }
  const std::string after{request.parameter("after").value_or("")};
  if (!after.empty() && !engine::session_id::parse(after))
    return e->answer(problem(400, "bad-request", "after must be a chat's id"));
  const bool gzip = wants_gzip(request, gzip_always);
  const bool posted = c.read(
      [=, user = who->user](reader_stores& stores) {
        auto chats = stores.chats->chats_after(after, limit + 1, user);
        if (!chats) return problem_of(chats.error());
        const bool has_more = chats->size() > limit;
        if (has_more) chats->pop_back();
        json::writer w;
        w.begin_object().key("chats").begin_array();
        for (const auto& chat : *chats) {
          w.begin_object().key("chat_id").string(chat.chat_id).key("name").string(chat.name);
          w.key("members").number(chat.members).key("joined").boolean(chat.is_member).end_object();
        }
        w.end_array().key("more").boolean(has_more).end_object();
        return packed_json(std::move(w).str(), gzip);
      },
      [e](http_answer a) { e->answer(std::move(a)); });
  if (!posted) e->answer(too_busy());
}

}  // namespace rowcall::gateway::internal
