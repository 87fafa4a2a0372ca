#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/json.hpp"
#include "engine/types.hpp"

/// What an application writes: one module per session kind, pure functions only.
///
/// A module is a struct with these members (see examples/counter for a whole one):
///
///   static constexpr std::string_view kind = "counter";
///   struct state { … };                                    // default = a session that has no updates yet
///   static decision decide(const state&, const command&);  // no I/O, no clock, no chance
///   static void apply(state&, const update&);              // the fold; must accept every update decide can emit
///   static std::string save(const state&);                 // JSON text for a snapshot
///   static state load(const json::value&);                 // the inverse of save
///   static failure_policy on_failure(std::string_view type);   // optional; hold when absent
///
/// A module whose state is empty (`struct state {};`) needs no apply, save and load.
/// The engine's own updates (command_done, command_rejected, command_failed) are not given to apply.
///
/// State is a fold over the session's own update log: after a restart the
/// engine rebuilds it from the last snapshot and the updates after it, so
/// decide(state, command) must depend on nothing else. Work that needs the
/// outside world belongs to another component that follows updates and submits
/// commands back.
namespace rowcall::engine {

/// A command as decide sees it. Valid during the call only.
struct command {
  const session_id& session;
  command_seq seq;
  std::string_view type;
  json::object data;
  std::string_view text;    ///< `data` as it stands in the log
  update_seq first_update;  ///< the seq that the first update emitted for this command will have
};

/// An update as apply sees it. Valid during the call only.
struct update {
  const session_id& session;
  update_seq seq;
  std::string_view type;
  json::object data;
};

/// What happens when decide throws or returns fail.
enum class failure_policy {
  hold,  ///< retry with exponential backoff, later commands wait; park after max_attempts
  park,  ///< to dead_letters at once, the session goes on
};

/// A row of a table of the module's own, written in the turn's transaction.
/// Tables and columns are declared in storage (a migration); values are text or null.
struct domain_row {
  /// append: the key is new. upsert: on the table's primary key. remove: the row whose primary key is `columns` =
  /// `values`, if there is one. Upserts and removes of one key take effect in the order written; use no append for a
  /// key that may come back.
  enum class write_mode { append, upsert, remove };
  std::string table;  ///< "chats", "messages": without the schema
  std::vector<std::string> columns;
  std::vector<std::optional<std::string>> values;  ///< as many as columns; text that PostgreSQL casts
  write_mode mode = write_mode::append;
  /// Stands in `values` for the seq of the update emitted last before the row was added.
  static constexpr std::string_view update_seq_value = "\x01update_seq";
};

struct sent_command {
  session_id target;
  std::string type;
  std::string data;
};

struct emitted_update {
  std::string type;
  std::string data;
};

/// Bounds of one command's effects; a decision beyond them is a failure.
constexpr std::size_t updates_per_command_max = 10'000;
constexpr std::size_t effects_bytes_max = 8 * 1024 * 1024;  ///< data of updates and sends, values of domain rows

/// What decide returns. Either effects, or a rejection, or a failure.
///
/// Effects that can not be written (data that is no JSON object or holds a NUL, an invalid or reserved type, a domain
/// row with more values than columns) make the command a failed one with nothing of it kept.
class decision {
 public:
  /// Appends an update. `data` is the text of a JSON object.
  decision& emit(std::string_view type, std::string data);
  /// Sends a command to another session, exactly once, in the same transaction.
  decision& send(session_id target, std::string_view type, std::string data);
  /// Writes a domain row; `update_seq_value` among its values becomes the last emitted update's seq.
  decision& write(domain_row row);
  /// The command is bad: a command_rejected update with this reason. A rejection may send commands too (to tell who
  /// asked); updates and rows added to it are dropped.
  static decision reject(std::string_view reason);
  /// Something is wrong with the module or its world: see failure_policy.
  static decision fail(std::string_view error);

  enum class outcome { effects, rejected, failed };
  outcome kind() const { return kind_; }
  const std::string& reason() const { return reason_; }
  std::vector<emitted_update>& updates() { return updates_; }
  std::vector<sent_command>& sends() { return sends_; }
  /// Each row with the count of updates emitted before it.
  std::vector<std::pair<std::size_t, domain_row>>& rows() { return rows_; }

 private:
  outcome kind_ = outcome::effects;
  std::string reason_;
  std::vector<emitted_update> updates_;
  std::vector<sent_command> sends_;
  std::vector<std::pair<std::size_t, domain_row>> rows_;
};

/// The state of one session behind the type-erased interface.
class module_state {
 public:
  virtual ~module_state() = default;
};

/// A module as the engine sees it. Stateless and thread-safe: one instance serves all sessions of its kind.
class module {
 public:
  virtual ~module() = default;
  virtual std::string_view kind() const = 0;
  virtual std::unique_ptr<module_state> new_state() const = 0;
  virtual decision decide(const module_state& state, const command& c) const = 0;
  virtual void apply(module_state& state, const update& u) const = 0;
  virtual std::string save(const module_state& state) const = 0;
  virtual std::unique_ptr<module_state> load(const json::value& saved) const = 0;
  virtual failure_policy on_failure(std::string_view type) const = 0;
  /// False: the fold is empty, so apply and load are never needed (echo).
  virtual bool has_state() const = 0;
};

namespace internal {

template <class M>
class module_of final : public module {
  static constexpr bool stateful = !std::is_empty_v<typename M::state>;
  struct holder final : module_state {
    typename M::state value{};
  };
  static const typename M::state& get(const module_state& s) { return static_cast<const holder&>(s).value; }

 public:
  std::string_view kind() const override { return M::kind; }
  std::unique_ptr<module_state> new_state() const override { return std::make_unique<holder>(); }
  decision decide(const module_state& s, const command& c) const override { return M::decide(get(s), c); }
  void apply([[maybe_unused]] module_state& s, [[maybe_unused]] const update& u) const override {
    if constexpr (stateful) M::apply(static_cast<holder&>(s).value, u);
  }
  std::string save([[maybe_unused]] const module_state& s) const override {
    if constexpr (stateful)
      return M::save(get(s));
    else
      return "{}";
  }
  std::unique_ptr<module_state> load([[maybe_unused]] const json::value& saved) const override {
    auto h = std::make_unique<holder>();
    if constexpr (stateful) h->value = M::load(saved);
    return h;
  }
  failure_policy on_failure(std::string_view type) const override {
    if constexpr (requires {
                    { M::on_failure(type) } -> std::same_as<failure_policy>;
                  })
      return M::on_failure(type);
    else
      return failure_policy::hold;
  }
  bool has_state() const override { return stateful; }
};

}  // namespace internal

/// The kinds one engine serves. Filled before the engine starts, read-only after.
class module_registry {
 public:
  /// The one registration line: `registry.add<counter>()`. A kind registered twice is an assertion.
  template <class M>
  module_registry& add() {
    return add(std::make_unique<internal::module_of<M>>());
  }
  module_registry& add(std::unique_ptr<module> m);
  const module* find(std::string_view kind) const;  ///< null when nobody registered the kind
  std::vector<std::string> kinds() const;

 private:
  std::vector<std::unique_ptr<module>> modules_;
};

/// chat, user and echo.
module_registry standard_modules();

}  // namespace rowcall::engine
