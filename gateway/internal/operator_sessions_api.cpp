#include <algorithm>

#include "engine/fold.hpp"
#include "gateway/internal/apis.hpp"
#include "gateway/internal/operator_api.hpp"
#include "gateway/internal/positions.hpp"
#include "gateway/internal/update_text.hpp"

/// One session for an operator: its head, its log with commands beside their updates, its state at any seq.
namespace rowcall::gateway::internal {
namespace {

namespace json = engine::json;
using engine::result;

constexpr std::size_t log_updates_default = 50, log_updates_max = 200;
constexpr std::size_t pending_commands_max = 50;  ///< shown after the log's end
/// Data in a page of the log, as stored; a page of one update shows it whatever its size.
constexpr std::size_t row_data_bytes_max = 4 * 1024;
constexpr std::size_t any_size = std::size_t{1} << 40;
/// Bounds of one fold.
constexpr std::size_t fold_updates_max = 20'000, fold_page_updates = 500;
constexpr std::size_t fold_bytes_max = 32 * 1024 * 1024;

void append_data(json::writer& w, const engine::logged_row& row) {
  w.key("data");
  if (row.data.empty())
    w.null();
  else
    w.raw(row.data);
  w.key("data_bytes").number(row.data_bytes).key("at").string(time_text(row.at));
}

std::string log_text(const engine::session_id& session, const std::vector<engine::logged_row>& updates,
                     const std::vector<engine::logged_row>& commands, bool has_before, bool has_after) {
  json::writer w;
  w.begin_object().key("session").string(session.str()).key("updates").begin_array();
  for (const auto& u : updates) {
    w.begin_object().key("seq").number(u.seq).key("command_seq").number(u.command_seq).key("type").string(u.type);
    append_data(w, u);
    w.end_object();
  }
  w.end_array().key("commands").begin_array();
  for (const auto& command : commands) {
    w.begin_object().key("command_seq").number(command.seq).key("type").string(command.type);
    append_data(w, command);
    if (!command.key.empty()) w.key("idempotency_key").string(command.key);
    w.end_object();
  }
  w.end_array().key("more_before").boolean(has_before).key("more_after").boolean(has_after).end_object();
  return std::move(w).str();
}

struct log_request {
  std::optional<std::int64_t> after, before;  ///< neither: the end of the log
  std::size_t limit = log_updates_default;
};

/// The updates asked for, the commands that caused them, and at the log's end those that wait.
http_answer read_log(reader_stores& stores, const engine::session_id& session, const log_request& r, bool gzip) {
  const auto bytes = r.limit == 1 ? any_size : row_data_bytes_max;
  const bool goes_forward = r.after.has_value();
  // One more tells whether there is more.
  auto read = goes_forward
                  ? stores.console->updates_after(session, {*r.after}, r.limit + 1, bytes)
                  : stores.console->updates_before(session, {r.before.value_or(INT64_MAX)}, r.limit + 1, bytes);
  if (!read) return operator_problem(read.error());
  auto& updates = *read;
  const bool has_more = updates.size() > r.limit;
  if (has_more) updates.pop_back();
  if (!goes_forward) std::reverse(updates.begin(), updates.end());
  const bool has_after = goes_forward ? has_more : r.before.has_value();
  const bool has_before = goes_forward ? *r.after > 0 && !updates.empty() && updates.front().seq > 1 : has_more;
  std::int64_t first = 1;
  if (!updates.empty()) {
    first = updates.front().command_seq;
  } else if (goes_forward || r.before) {
    const auto last = stores.updates->last(session);
    if (!last) return operator_problem(last.error());
    first = last->command.value + 1;
  }
  const auto commands_max = updates.size() + (has_after ? 0 : pending_commands_max);
  auto commands = stores.console->commands_from(session, {first}, std::max<std::size_t>(commands_max, 1), bytes);
  if (!commands) return operator_problem(commands.error());
  if (has_after && !updates.empty())
    std::erase_if(*commands, [&](const auto& c) { return c.seq > updates.back().command_seq; });
  return packed_json(log_text(session, updates, *commands, has_before, has_after), gzip);
}

http_answer no_state(const engine::session_id& session, std::string why, std::int64_t first) {
  return problem(410, "gone", std::move(why),
                 ",\"session\":\"" + session.str() + "\",\"first_seq\":" + std::to_string(first));
}

/// What is folded for a state.
struct history {
  std::optional<engine::snapshot_row> snapshot;
  std::vector<engine::update_row> updates;
  std::optional<http_answer> refusal;
};

history read_history(reader_stores& stores, const engine::session_id& session, std::int64_t seq,
                     const engine::session_head& head) {
  history h;
  auto snapshot = stores.console->snapshot_at(session, {seq});
  if (!snapshot) return {.refusal = operator_problem(snapshot.error())};
  h.snapshot = *std::move(snapshot);
  auto at = h.snapshot ? h.snapshot->seq.value : 0;
  if (seq - at > static_cast<std::int64_t>(fold_updates_max))
    return {.refusal = problem(422, "fold-too-long",
                               "between the last snapshot (" + std::to_string(at) + ") and this seq are more than " +
                                   std::to_string(fold_updates_max) + " updates")};
  std::size_t bytes = 0;
  while (at < seq) {
    auto page = stores.updates->updates_after(
        session, {at}, std::min<std::size_t>(fold_page_updates, static_cast<std::size_t>(seq - at)));
    if (!page) return {.refusal = operator_problem(page.error())};
    if (page->gone)
      return {.refusal = no_state(session, "retention removed the updates before this seq",
                                  head.first_snapshot.value > 0 ? head.first_snapshot.value : head.last_update.value)};
    if (page->updates.empty()) break;
    for (auto& u : page->updates) {
      bytes += u.data.size();
      at = u.seq.value;
      h.updates.push_back(std::move(u));
    }
    if (bytes > fold_bytes_max)
      return {.refusal = problem(422, "fold-too-long", "the updates up to this seq have more than 32 MiB")};
  }
  return h;
}

http_answer read_state(reader_stores& stores, const engine::module_registry* modules, const engine::session_id& session,
                       std::optional<std::int64_t> asked, bool gzip) {
  const auto* m = modules == nullptr ? nullptr : modules->find(session.kind());
  if (m == nullptr)
    return problem(422, "no-module", "this gateway has no module of the kind '" + std::string{session.kind()} + "'");
  const auto head = stores.console->head_of(session);
  if (!head) return operator_problem(head.error());
  const auto seq = asked.value_or(head->last_update.value);
  if (seq > head->last_update.value)
    return problem(404, "not-found", "the log ends with update " + std::to_string(head->last_update.value));
  history h;
  if (m->has_state()) h = read_history(stores, session, seq, *head);
  if (h.refusal) return *std::move(h.refusal);
  json::parser parser;
  const auto folded = engine::fold(*m, session, h.snapshot, h.updates, parser);
  if (!folded) return operator_problem(folded.error());
  json::writer w;
  w.begin_object().key("session").string(session.str()).key("seq").number(seq);
  w.key("from_snapshot").number(h.snapshot ? h.snapshot->seq.value : 0);
  w.key("folded").number(static_cast<std::int64_t>(h.updates.size()));
  w.key("state").raw(m->save(*folded->state)).end_object();
  return packed_json(std::move(w).str(), gzip);
}

}  // namespace

void get_operator_session(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto shard = engine::shard_of(session, engine::shard_count_default);
  std::string owner;
  if (const auto* last = c.console.history.last())
    for (const auto& node : last->nodes)
      if (std::find(node.shards.begin(), node.shards.end(), shard) != node.shards.end()) owner = node.info.node;
  read_for_operator(c, e, [session, shard, owner](reader_stores& stores) {
    const auto head = stores.console->head_of(session);
    if (!head) return operator_problem(head.error());
    const auto& h = *head;
    json::writer w;
    w.begin_object().key("session").string(session.str()).key("created_at").string(time_text(h.created_at));
    w.key("shard").number(static_cast<std::int64_t>(shard)).key("node").string(owner);
    w.key("first_command_seq").number(h.first_command.value).key("last_command_seq").number(h.last_command.value);
    w.key("processed_command_seq").number(h.processed.value);
    w.key("pending_commands").number(std::max<std::int64_t>(0, h.last_command.value - h.processed.value));
    w.key("first_seq").number(h.first_update.value).key("last_seq").number(h.last_update.value);
    w.key("first_snapshot_seq").number(h.first_snapshot.value).key("last_snapshot_seq").number(h.last_snapshot.value);
    w.key("dead").number(h.dead).key("held");
    if (h.retry) {
      w.begin_object().key("command_seq").number(h.retry->command.value);
      w.key("attempts").number(static_cast<std::int64_t>(h.retry->attempts));
      w.key("next_in_ms")
          .number(static_cast<std::int64_t>(h.retry->wait.count()))
          .key("error")
          .string(h.retry->last_error);
      w.key("armed_by").string(h.retry->armed_by).end_object();
    } else {
      w.null();
    }
    w.end_object();
    return json_answer(200, std::move(w).str());
  });
}

void get_operator_log(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  log_request r;
  if (!read_limit(e, log_updates_max, r.limit) || !read_number(e, "after", 0, r.after) ||
      !read_number(e, "before", 1, r.before))
    return;
  if (r.after && r.before) return e->answer(problem(400, "bad-request", "give after or before, not both"));
  const bool gzip = wants_gzip(e->request(), gzip_always);
  work_for_operator(c, e, [=](reader_stores& stores) { return read_log(stores, session, r, gzip); });
}

void get_operator_state(context& c, const exchange_ptr& e, const engine::session_id& session) {
  const auto who = identify_operator(c, *e);
  if (!who || !take_rate(c, c.read_rate, *who, *e)) return;
  std::optional<std::int64_t> seq;
  if (!read_number(e, "seq", 0, seq)) return;
  const bool gzip = wants_gzip(e->request(), gzip_always);
  work_for_operator(c, e, [=, modules = c.ports.modules](reader_stores& stores) {
    return read_state(stores, modules, session, seq, gzip);
  });
}

}  // namespace rowcall::gateway::internal
