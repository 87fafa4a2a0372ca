#include <algorithm>

#include "gateway/internal/apis.hpp"
#include "gateway/internal/positions.hpp"
#include "gateway/internal/stream.hpp"

/// Opening of event streams: everything that can refuse one is looked at before the answer begins.
namespace rowcall::gateway::internal {
namespace {

constexpr std::size_t opening_rows_max = 2'000;
constexpr std::size_t opening_page_max = 200;

struct request_place {
  stream_place url;
  std::int64_t after;  ///< by the URL or Last-Event-ID
  bool is_by_membership;
};

/// What was read: the starts, or why not.
struct opening {
  std::vector<stream_start> starts;
  std::optional<http_answer> refusal;
  std::string incarnation;  ///< that it is of

  void refuse(const engine::error& error) { refusal = problem_of(error); }
};

std::string member(const engine::session_id& session) { return ",\"session\":\"" + session.str() + "\""; }

void check_members(opening& o, reader_stores& stores, const std::string& user,
                   const std::vector<request_place>& places) {
  std::vector<std::string> chats;
  for (const auto& place : places)
    if (place.is_by_membership) chats.push_back(place.url.session.str());
  if (chats.empty()) return;
  const auto allowed = stores.chats->memberships(user, chats);
  if (!allowed) return o.refuse(allowed.error());
  for (const auto& place : places)
    if (place.is_by_membership &&
        std::find(allowed->begin(), allowed->end(), place.url.session.str()) == allowed->end()) {
      o.refusal =
          problem(403, "forbidden", "you are no member of " + place.url.session.str(), member(place.url.session));
      return;
    }
}

/// On a reader thread. `known`: the incarnation of before the read; empty: not known yet.
opening read_opening(reader_stores& stores, std::string known, const std::string& user,
                     const std::vector<request_place>& places) {
  opening o;
  auto incarnation = incarnation_of(stores, std::move(known));
  if (!incarnation) {
    o.refuse(incarnation.error());
    return o;
  }
  o.incarnation = *std::move(incarnation);
  check_members(o, stores, user, places);
  if (o.refusal) return o;
  const auto limit = std::clamp<std::size_t>(opening_rows_max / places.size(), 10, opening_page_max);
  std::vector<engine::follow_position> positions;
  for (const auto& place : places)
    if (place.after != at_end) positions.push_back({place.url.session, {place.after}});
  auto pages = stores.updates->updates_after(positions, limit);
  if (!pages) {
    o.refuse(pages.error());
    return o;
  }
  std::size_t page_index = 0;
  for (const auto& place : places) {
    stream_start start;
    start.session = place.url.session;
    start.url_after = place.url.after;
    start.is_by_membership = place.is_by_membership;
    engine::update_page page;
    if (place.after != at_end) page = std::move((*pages)[page_index++]);
    if (page.gone) {
      const auto snapshot = stores.updates->snapshot(start.session);
      if (snapshot)
        o.refusal = gone(start.session, *snapshot);
      else
        o.refuse(snapshot.error());
      return o;
    }
    for (const auto& update : page.updates) start.page.push_back(make_event(start.session, update));
    if (!start.page.empty() && start.page.size() < limit) {
      start.end = start.page.back()->seq;
    } else {
      const auto last = stores.updates->last(start.session);
      if (!last) {
        o.refuse(last.error());
        return o;
      }
      start.end = last->update.value;
    }
    start.after = place.after == at_end ? start.end : place.after;
    // Whoever waited beyond the end would not see what ends his membership.
    if (start.after > start.end) {
      o.refusal = beyond_end(start.session, start.end);
      return o;
    }
    o.starts.push_back(std::move(start));
  }
  return o;
}

void open_stream(context& c, const exchange_ptr& e, const identity& who, std::vector<stream_place> urls,
                 std::vector<stream_place> positions, bool is_single) {
  std::vector<request_place> places;
  for (std::size_t i = 0; i < urls.size(); ++i) {
    const auto p = may_follow(who, urls[i].session);
    if (p == permission::denied)
      return e->answer(problem(403, "forbidden", "this token does not allow to follow " + urls[i].session.str(),
                               member(urls[i].session)));
    places.push_back({std::move(urls[i]), positions[i].after, p == permission::if_member});
  }
  if (c.is_draining) return e->answer(problem_later(503, "draining", "this gateway stops; another one goes on", 1));
  if (c.streams.size() >= c.config.streams_max)
    return e->answer(problem_later(503, "streams-full", "this gateway has as many open streams as it may have", 5));
  const auto own = c.streams_of_user.find(who.user);
  if (!who.user.empty() && own != c.streams_of_user.end() && own->second >= c.config.streams_per_user_max)
    return e->answer(
        problem_later(429, "too-many-streams",
                      "a user has at most " + std::to_string(c.config.streams_per_user_max) + " open streams", 5));
  if (!take_rate(c, c.read_rate, who, *e)) return;
  const bool has_heartbeat_events = e->request().parameter("heartbeat") == "event";
  const bool posted =
      c.read([places = std::move(places), user = who.user, known = c.feeds->incarnation()](
                 reader_stores& stores) { return read_opening(stores, known, user, places); },
             [&c, e, who, is_single, has_heartbeat_events](opening o) {
               if (o.refusal) return e->answer(*std::move(o.refusal));
               if (!c.feeds->holds(o.incarnation)) return e->answer(restored_meanwhile());
               if (c.is_draining)
                 return e->answer(problem_later(503, "draining", "this gateway stops; another one goes on", 1));
               std::make_shared<stream>(c, who, std::move(o.starts), is_single, has_heartbeat_events)->begin(e);
             });
  if (!posted) e->answer(too_busy());
}

}  // namespace

void stream_session(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto who = identify(c, *e);
  if (!who) return;
  const auto bad = [&](std::string text) { e->answer(problem(400, "bad-request", std::move(text))); };
  stream_place url{session, 0};
  if (const auto given = e->request().parameter("after")) {
    const auto after = read_position(*given);
    if (!after) return bad("after must be a seq, or `end`");
    url.after = *after;
  }
  auto position = url;
  if (const auto id = e->request().header("last-event-id"); !id.empty()) {
    const auto after = read_position(id);
    if (!after || *after == at_end) return bad("Last-Event-ID must be a seq");
    position.after = *after;
  }
  open_stream(c, e, *who, {url}, {position}, true);
}

void stream_sessions(context& c, const exchange_ptr& e) {
  const auto who = identify(c, *e);
  if (!who) return;
  const auto accept = e->request().header("accept");
  if (!accept.empty() && !accepts(accept, "text/event-stream") && !accepts(accept, "*/*"))
    return e->answer(problem(406, "not-acceptable", "this is a text/event-stream"));
  auto urls = read_places(e->request().query, c.config.stream_sessions_max);
  if (!urls) return e->answer(problem(400, "bad-request", urls.error().message));
  auto positions = *urls;
  if (auto applied = apply_event_id(e->request().header("last-event-id"), positions); !applied)
    return e->answer(problem(400, "bad-request", applied.error().message));
  open_stream(c, e, *who, *std::move(urls), std::move(positions), false);
}

}  // namespace rowcall::gateway::internal
