#include "storage/postgres/internal/link.hpp"

#include <algorithm>

#include <libpq-fe.h>
#include <poll.h>

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/sql.hpp"

namespace rowcall::storage::postgres::internal {
namespace {

/// The user's connection string with our bounds where it leaves them open. Throws std::invalid_argument.
std::string connection_string(const store_config& config) {
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(config.url.c_str(), &message);
  if (!options) {
    std::string text = message ? message : "out of memory";
    PQfreemem(message);
    throw std::invalid_argument("database url: " + text);
  }
  std::string out;
  const auto add = [&out](std::string_view key, std::string_view value) {
    out += key;
    out += "='";
    for (char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += "' ";
  };
  std::vector<std::string> given;
  for (auto* o = options; o->keyword; ++o)
    if (o->val) {
      add(o->keyword, o->val);
      given.emplace_back(o->keyword);
    }
  PQconninfoFree(options);
  const auto add_default = [&](std::string_view key, const std::string& value) {
    if (std::find(given.begin(), given.end(), key) == given.end()) add(key, value);
  };
  using std::chrono::ceil;
  using std::chrono::seconds;
  add_default("application_name", config.application_name);
  add_default("connect_timeout", std::to_string(std::max<std::int64_t>(2, ceil<seconds>(config.connect_timeout).count())));
  // A peer that vanished without a word is noticed within about 20 s, and unsent data within the statement timeout.
  add_default("keepalives_idle", "5");
  add_default("keepalives_interval", "5");
  add_default("keepalives_count", "3");
  if (config.statement_timeout.count() > 0)
    add_default("tcp_user_timeout", std::to_string((config.statement_timeout + config.answer_margin).count()));
  return out;
}

std::string_view query_of(std::string_view name) {
  for (const auto& q : queries())
    if (q.name == name) return q.sql;
  ROWCALL_ASSERT(!"a query file is missing");
  return {};
}

}  // namespace

std::chrono::milliseconds idle_timeout(const store_config& config) {
  constexpr std::chrono::milliseconds margin_max{500};
  return config.transaction_timeout - std::min(config.transaction_timeout / 5, margin_max);
}

thread_local telling_connect::handle telling_connect::started = nullptr;

link::link(store_config config, std::initializer_list<std::string_view> queries, std::string settings)
    : config_(std::move(config)), is_bounded_(config_.statement_timeout.count() > 0) {
  // One round trip for all of it. The planner's settings: a plan made while a table was small must not become a scan
  // of a table that has grown since, and planning a statement anew each time costs more than running it.
  prologue_ =
      "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET synchronous_commit = on;"
      "SET default_transaction_isolation = 'read committed'; SET jit = off; SET plan_cache_mode = force_generic_plan;"
      "SET enable_seqscan = off; SET enable_bitmapscan = off;"
      "SET statement_timeout = " +
      std::to_string(config_.statement_timeout.count()) +
      "; SET idle_in_transaction_session_timeout = " + std::to_string(idle_timeout(config_).count()) +
      "; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;" + settings;
  for (auto name : queries) {
    prologue_ += "PREPARE ";
    prologue_ += name;
    prologue_ += " AS ";
    prologue_ += query_of(name);
    prologue_ += ";";
  }
}

link::~link() { close(); }

engine::result<void> link::open() {
  if (session_) return {};
  if (config_.may_connect)
    if (auto may = config_.may_connect(); !may) return may;
  try {
    connection_ = std::make_unique<pqxx::basic_connection_base<telling_connect>>(connection_string(config_));
    native_ = telling_connect::started;
    // The place in our own functions, which is of no use to whoever asked for something.
    PQsetErrorContextVisibility(native_, PQSHOW_CONTEXT_NEVER);
    answer_.begin(PQsocket(native_));
    const awaiting answer{*this};
    quiet_ = std::make_unique<pqxx::quiet_errorhandler>(*connection_);  // notices would go to stderr
    session_ = std::make_unique<pqxx::nontransaction>(*connection_);
    session_->exec(prologue_);
    ++generation_;
    if (auto known = check_incarnation(); !known) {
      close();
      return known;
    }
    return {};
  } catch (...) {
    auto error = current_error(on_loss::nothing);
    name_silence(error);
    close();
    if (error.code == engine::errc::connection_lost) error.code = engine::errc::unavailable;
    return tl::make_unexpected(std::move(error));
  }
}

/// Once for each connection: whoever restores a database ends all of them.
engine::result<void> link::check_incarnation() {
  if (config_.incarnation.empty()) return {};
  const auto rows = session_->exec(std::string{query_of("incarnation_get")});
  if (!rows.empty() && config_.incarnation == rows[0][0].c_str()) return {};
  return engine::fail(engine::errc::superseded,
                      "the database was restored since this process started: what it remembers is void, it has to start anew");
}

engine::result<pqxx::result> link::exec(const std::string& sql, on_loss loss) {
  return run([&](pqxx::nontransaction& session) { return session.exec(sql); }, loss);
}

engine::result<pqxx::result> link::exec_alone(const std::string& sql, on_loss loss) {
  drop_if_ended();
  auto rows = exec(sql, loss);
  const bool is_lost = !rows && rows.error().code == engine::errc::connection_lost;
  if (is_lost && loss == on_loss::nothing && !answer_.is_cut()) return exec(sql, loss);
  return rows;
}

void link::drop_if_ended() noexcept {
  if (!session_ || PQtransactionStatus(native_) != PQTRANS_IDLE) return;
  // A server that is asked nothing says nothing but its last words (or that a setting was changed, which is rare).
  pollfd socket{PQsocket(native_), POLLIN, 0};
  if (::poll(&socket, 1, 0) > 0) close();
}

void link::close() noexcept {
  answer_.end();
  session_.reset();
  quiet_.reset();
  connection_.reset();
  native_ = nullptr;
}

void link::name_silence(engine::error& error) const {
  if (!answer_.is_cut()) return;
  error.message = "the database did not answer within " +
                  std::to_string((config_.statement_timeout + config_.answer_margin).count()) + " ms: " + error.message;
}

void link::close_if_lost(const engine::error& error) noexcept {
  using engine::errc;
  if (error.code == errc::connection_lost || error.code == errc::commit_in_doubt || !connection_ || !connection_->is_open())
    close();
}

}  // namespace rowcall::storage::postgres::internal
