#include "engine/session.hpp"

#include <algorithm>
#include <utility>

#include "engine/fold.hpp"
#include "engine/internal/guarded.hpp"

namespace rowcall::engine {
namespace {

using internal::as_reason;
using internal::guarded;

bool may_hold_nul(std::string_view text) { return text.find("\\u0000") != std::string_view::npos; }

/// A log's data: one JSON object that jsonb can hold.
result<json::object> parse_data(std::string_view text, json::parser& parser) {
  auto parsed = parser.parse_object(text);
  if (parsed && may_hold_nul(text) && json::has_nul(*parsed))
    return fail(errc::invalid_argument, "the data holds a NUL character (\\u0000), which can not be stored");
  if (parsed && json::has_unstorable_exponent(text)) return fail(errc::invalid_argument, json::unstorable_exponent);
  return parsed;
}

bool is_identifier(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// What is wrong with a row, or nothing. A row that the database would refuse costs its whole turn, so it must not get
/// that far.
std::optional<std::string> flaw_of(const domain_row& row, std::size_t updates_before) {
  if (!is_identifier(row.table)) return "a domain row's table is not an identifier: " + as_reason(row.table);
  if (row.columns.empty() || row.columns.size() != row.values.size())
    return "a row of " + row.table + " has " + std::to_string(row.columns.size()) + " columns and " +
           std::to_string(row.values.size()) + " values";
  for (const auto& column : row.columns)
    if (!is_identifier(column)) return "a column of " + row.table + " is not an identifier: " + as_reason(column);
  for (const auto& value : row.values) {
    if (!value) continue;
    if (*value == domain_row::update_seq_value) {
      if (updates_before == 0) return "a row of " + row.table + " names an update's seq before any update was emitted";
    } else if (value->find('\0') != std::string::npos || !simdjson::validate_utf8(*value)) {
      return "a value of " + row.table + " is not UTF-8 without NUL";
    }
  }
  return std::nullopt;
}

/// All that can be said about a decision without its updates' JSON.
std::optional<std::string> flaw_of(decision& d) {
  if (d.updates().size() > updates_per_command_max)
    return "the module emitted " + std::to_string(d.updates().size()) + " updates for one command, the limit is " +
           std::to_string(updates_per_command_max);
  std::size_t bytes = 0;
  for (const auto& u : d.updates()) {
    if (!is_valid_type(u.type)) return "the module emitted an update of an invalid type: " + as_reason(u.type);
    if (update_type::is_reserved(u.type)) return "the module emitted an update of the reserved type " + u.type;
    bytes += u.data.size();
  }
  for (const auto& [updates_before, row] : d.rows()) {
    if (auto flaw = flaw_of(row, updates_before)) return flaw;
    for (const auto& value : row.values) bytes += value ? value->size() : 0;
  }
  for (const auto& s : d.sends()) {
    if (auto valid = validate({s.target, s.type, s.data, std::nullopt}); !valid)
      return "the module sent an invalid command: " + valid.error().message;
    bytes += s.data.size();
  }
  if (bytes > effects_bytes_max)
    return "the effects of the command have " + std::to_string(bytes) + " bytes, the limit is " +
           std::to_string(effects_bytes_max);
  return std::nullopt;
}

}  // namespace

/// How far a command got.
enum class session::step {
  next,    ///< it has its receipt: on with the next
  last,    ///< it has its receipt, and the batch ends with it
  undone,  ///< it stays pending, and so does what follows
};

struct session::batch {
  session_writes& writes;
  json::parser& parser;
  bool is_isolated = false;
  std::optional<std::chrono::milliseconds> retry_in;
  bool needs_isolation = false;
  bool ends_cold = false;  ///< nothing in memory can be relied on after this batch
};

session::session(session_id id, const module& m, std::shared_ptr<const session_config> config)
    : id_(std::move(id)), module_(m), config_(std::move(config)) {
  ROWCALL_ASSERT(config_ && module_.kind() == id_.kind());
}

void session::forget() {
  state_.reset();
  cursor_ = {};
  snapshot_at_ = {};
  retry_.reset();
  careful_until_ = {};
}

result<void> session::load(const session_image& image, json::parser& parser) {
  forget();
  auto folded = fold(module_, id_, image.snapshot, image.tail, parser);
  if (!folded) return tl::make_unexpected(folded.error());
  if (module_.has_state() && folded->at != image.cursor.update)
    return engine::fail(errc::internal, "session " + id_.str() + " can not be loaded at update " +
                                            std::to_string(image.cursor.update.value) +
                                            ": updates up to it are missing");

  state_ = std::move(folded->state);
  cursor_ = image.cursor;
  careful_until_ = image.careful_until;
  if (image.retry && image.retry->command == cursor_.command.next()) retry_ = image.retry;
  if (image.snapshot) {
    snapshot_at_ = image.snapshot->seq;
  } else if (!module_.has_state() && config_->snapshot_interval_updates > 0) {
    // The image of a module without state need not tell of snapshots: assume they stand where they would.
    snapshot_at_ = {cursor_.update.value - cursor_.update.value % config_->snapshot_interval_updates};
  }
  return {};
}

bool session::follows(session_cursor expected, std::span<const command_row> commands) const {
  if (!is_loaded() || expected != cursor_) return false;
  auto seq = cursor_.command;
  for (const auto& row : commands)
    if (row.seq != (seq = seq.next())) return false;
  return true;
}

session::outcome session::decide(session_cursor expected, std::span<const command_row> commands, json::parser& parser,
                                 const std::optional<std::string>& forced_error, bool is_isolated,
                                 std::atomic<std::int64_t>* deciding) {
  outcome out;
  out.writes.session = id_;
  out.writes.before = out.writes.after = cursor_;
  if (!follows(expected, commands)) {
    out.kind = outcome::status::stale;
    out.is_loaded = is_loaded();
    return out;
  }
  // Also without commands, which a claim withholds during the wait: the session must not go idle with a wait that ends
  // unnoticed in its memory.
  if (retry_ && retry_->wait > std::chrono::milliseconds::zero()) {
    out.has_more = true;
    out.retry_in = retry_->wait;
    // Whoever armed it goes first: were both due at once, this one might take the shard away again, and count a death.
    if (!retry_->armed_by.empty() && !is_armed_here(retry_->command))
      *out.retry_in += retry_->wait + config_->retry.base;
    out.is_loaded = false;
    forget();
    return out;
  }
  if (commands.empty()) return out;

  batch b{out.writes, parser, is_isolated};
  std::size_t done = 0;
  for (const auto& row : commands) {
    if (deciding != nullptr) deciding->store(row.seq.value, std::memory_order_relaxed);
    const auto reached = forced_error ? failed(row, as_reason(*forced_error), b) : decide_one(row, b);
    if (reached != step::undone) ++done;
    if (reached != step::next || forced_error) break;
  }
  out.has_more = done < commands.size();
  out.retry_in = b.retry_in;
  out.needs_isolation = b.needs_isolation;
  out.writes.after = cursor_;
  if (!b.ends_cold) take_snapshot(out, parser);
  out.is_loaded = !b.ends_cold;
  if (b.ends_cold) forget();
  return out;
}

const retry_row* session::retry_of(command_seq seq) const {
  return retry_ && retry_->command == seq ? &*retry_ : nullptr;
}

bool session::is_armed_here(command_seq seq) const {
  const auto* row = retry_of(seq);
  return row && !row->armed_by.empty() && row->armed_by == config_->node;
}

/// Within the backlog of an unclean stop, or found armed by a node that is no more: this command may have killed it.
bool session::needs_arming(command_seq seq) const {
  if (is_armed_here(seq)) return false;
  const auto* row = retry_of(seq);
  return seq <= careful_until_ || (row && !row->armed_by.empty());
}

session::step session::decide_one(const command_row& row, batch& b) {
  // A first careful attempt may share its turn with other sessions' commands. Whoever was in one that ended with its
  // node is tried alone from then on, so that the culprit's attempts are counted and not its neighbours'.
  const auto* tried = retry_of(row.seq);
  const int attempts_begun = tried && !tried->armed_by.empty() ? tried->attempts : 0;
  const bool arms = needs_arming(row.seq);
  if (!b.is_isolated && attempts_begun >= (arms ? 1 : 2)) {
    b.needs_isolation = true;
    return step::undone;
  }
  if (arms) {
    b.needs_isolation = attempts_begun >= 1;
    return arm(row, b);
  }
  const bool alone = is_armed_here(row.seq);
  const auto reached = execute(row, b);
  return alone && reached == step::next ? step::last : reached;
}

session::step session::arm(const command_row& row, batch& b) {
  const auto* before = retry_of(row.seq);
  const int attempts = before ? before->attempts : 0;
  std::string error = before ? before->last_error : std::string{};
  if (attempts >= config_->retry.attempts_max) {
    if (error.empty()) error = "the engine died each time it tried this command";
    park(row, error, attempts, b);
    return step::last;
  }
  // An attempt that another node has recorded and not made may have killed it, or the shard was taken from it in
  // between. Nodes that take a shard from each other (all of them just started, say) would use all attempts up in a
  // moment and give an innocent command up: so these come no faster than those of a failing command.
  const bool is_first = !before || before->armed_by.empty();
  const auto wait = is_first ? std::chrono::milliseconds{0} : config_->retry.wait_after(attempts, id_, row.seq);
  retry_ = retry_row{row.seq, attempts + 1, std::move(error), config_->node, wait};
  b.writes.retry = session_writes::retry_change::put;
  b.writes.retry_put = retry_;
  if (!is_first) {
    b.retry_in = wait;
    b.ends_cold = true;  // only the database's clock tells when the wait is over
  }
  return step::undone;
}

session::step session::execute(const command_row& row, batch& b) {
  decision d;
  if (auto data = parse_data(row.data, b.parser); !data) {
    // What a client of rowcall submits was validated; what plain SQL inserts may be deeper or larger than we read.
    d = decision::reject(data.error().message);
  } else if (auto thrown = guarded([&] {
               d = module_.decide(*state_, {id_, row.seq, row.type, *data, row.data, cursor_.update.next()});
             })) {
    return failed(row, *thrown, b);
  }
  switch (d.kind()) {
    case decision::outcome::failed:
      return failed(row, as_reason(d.reason()), b);
    case decision::outcome::rejected:
      return reject(row, d, b);
    case decision::outcome::effects:
      return keep(row, d, b);
  }
  return failed(row, "a decision of no known kind", b);
}

session::step session::reject(const command_row& row, decision& d, batch& b) {
  d.updates().clear();
  d.rows().clear();
  if (auto flaw = flaw_of(d)) return failed(row, *flaw, b);
  json::writer w;
  w.begin_object().key("type").string(row.type).key("reason").string(as_reason(d.reason())).end_object();
  append(row, update_type::command_rejected, std::move(w).str(), b);
  send(row, d, b);
  finish(row, b);
  return step::next;
}

/// All or nothing: whatever can be wrong is found before the state is touched, except for what only shows when the
/// updates are applied one after the other. Then the state is given up (ends_cold), not repaired: the log has it.
session::step session::keep(const command_row& row, decision& d, batch& b) {
  if (auto flaw = flaw_of(d)) return failed(row, *flaw, b);

  const auto cursor_before = cursor_;
  const auto updates_before = b.writes.updates.size();
  bool applied = false;
  for (auto& u : d.updates()) {
    std::optional<std::string> flaw;
    const bool is_checked = !module_.has_state() && u.data == row.data;  // the command's own text, passed on
    if (!is_checked) {
      const auto data = parse_data(u.data, b.parser);
      if (!data) {
        flaw = "the module emitted " + u.type + " with unusable data: " + data.error().message;
      } else if (module_.has_state()) {
        applied = true;
        flaw = guarded([&] { module_.apply(*state_, {id_, cursor_.update.next(), u.type, *data}); });
      }
    }
    if (flaw) {
      b.writes.updates.resize(updates_before);
      cursor_ = cursor_before;
      b.ends_cold = b.ends_cold || applied;
      return failed(row, *flaw, b);
    }
    append(row, u.type, std::move(u.data), b);
  }
  if (d.updates().empty()) append(row, update_type::command_done, "{}", b);

  for (auto& [count_before, domain] : d.rows()) {
    for (auto& value : domain.values)
      if (value && *value == domain_row::update_seq_value)
        value = std::to_string(cursor_before.update.value + static_cast<std::int64_t>(count_before));
    b.writes.rows.push_back(std::move(domain));
  }
  send(row, d, b);
  finish(row, b);
  return step::next;
}

session::step session::failed(const command_row& row, const std::string& error, batch& b) {
  const auto* before = retry_of(row.seq);
  int attempts = before ? before->attempts : 0;
  if (!is_armed_here(row.seq)) ++attempts;  // an armed one was counted before it was tried

  auto policy = failure_policy::hold;
  if (auto thrown = guarded([&] { policy = module_.on_failure(row.type); })) policy = failure_policy::hold;
  if (policy == failure_policy::park || attempts >= config_->retry.attempts_max) return park(row, error, attempts, b);

  const auto wait = config_->retry.wait_after(attempts, id_, row.seq);
  b.writes.retry = session_writes::retry_change::put;
  b.writes.retry_put = retry_row{row.seq, attempts, error, {}, wait};
  b.retry_in = wait;
  b.ends_cold = true;  // only the database's clock tells when the wait is over
  return step::undone;
}

session::step session::park(const command_row& row, const std::string& error, int attempts, batch& b) {
  json::writer w;
  w.begin_object().key("type").string(row.type).key("error").string(error).key("attempts");
  w.number(static_cast<std::int64_t>(attempts)).end_object();
  append(row, update_type::command_failed, std::move(w).str(), b);
  b.writes.dead_letters.push_back({row, error, attempts});
  finish(row, b);
  return b.ends_cold ? step::last : step::next;
}

/// The command has its receipt: its row in `retries`, if any, is done with.
void session::finish(const command_row& row, batch& b) {
  cursor_.command = row.seq;
  if (!retry_of(row.seq)) return;
  retry_.reset();
  b.writes.retry = session_writes::retry_change::clear;
  b.writes.retry_put.reset();
}

void session::append(const command_row& row, std::string_view type, std::string data, batch& b) {
  cursor_.update = cursor_.update.next();
  cursor_.command = row.seq;
  b.writes.updates.push_back({cursor_.update, row.seq, std::string{type}, std::move(data), {}});
}

void session::send(const command_row& row, decision& d, batch& b) {
  const auto prefix = "send:" + id_.str() + '/' + std::to_string(row.seq.value) + '/';
  std::size_t index = 0;
  for (auto& s : d.sends()) b.writes.sends.push_back({std::move(s), prefix + std::to_string(index++)});
}

void session::take_snapshot(outcome& out, json::parser& parser) {
  const auto interval = config_->snapshot_interval_updates;
  if (interval <= 0 || cursor_.update.value - snapshot_at_.value < interval) return;
  std::string text = "{}";
  if (module_.has_state()) {
    // A snapshot that can not be read back would lock the session out for good: try it now. Without one it is only
    // slower to load, and the next batch tries again.
    std::optional<std::string> flaw = guarded([&] {
      text = module_.save(*state_);
      if (auto saved = parser.parse(text); !saved)
        out.snapshot_error = saved.error().message;
      else if (may_hold_nul(text) && json::has_nul(*saved))
        out.snapshot_error = "the saved state holds a NUL character";
      else if (json::has_unstorable_exponent(text))
        out.snapshot_error.append("the saved state: ").append(json::unstorable_exponent);
      else
        ROWCALL_ASSERT(module_.load(*saved));
    });
    if (flaw) out.snapshot_error = std::move(*flaw);
    if (!out.snapshot_error.empty()) return;
  }
  out.writes.snapshot = snapshot_row{cursor_.update, cursor_.command, std::move(text)};
  snapshot_at_ = cursor_.update;
}

}  // namespace rowcall::engine
