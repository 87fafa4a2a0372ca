#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <pqxx/pqxx>

#include "engine/result.hpp"
#include "storage/postgres/internal/answer_watch.hpp"
#include "storage/postgres/internal/errors.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres::internal {

/// When PostgreSQL ends a transaction that its client has left open. Before the bound that is promised, since others notice
/// the end only when they next look (directory_config::skipped_wait_max), and have to serve then.
std::chrono::milliseconds idle_timeout(const store_config& config);

/// connect_direct that tells the handle, which libpqxx keeps to itself. A policy lives inside its connection and is made
/// of the options alone, so the handle leaves it by way of the thread that connects.
class telling_connect : public pqxx::connect_direct {
 public:
  using connect_direct::connect_direct;
  handle do_startconnect(handle original) override { return started = connect_direct::do_startconnect(original); }
  static thread_local handle started;
};

/// One connection with its session settings and prepared queries. Made on first use; thrown away when it is lost
/// (libpqxx 6 would reconnect by itself, without settings); made anew by the next run. Used by one thread at a time.
class link {
 public:
  /// `queries`: names of query files to prepare on each new connection. `settings`: more `SET …;` statements.
  link(store_config config, std::initializer_list<std::string_view> queries, std::string settings = {});
  ~link();
  link(const link&) = delete;

  /// Calls body(pqxx::nontransaction&) on an open connection. Exceptions become errors; a lost connection is closed,
  /// and so is one on which no answer came within statement_timeout and answer_margin (connection_lost). Errors:
  /// unavailable when no connection can be made; schema_mismatch when the queries can not be prepared.
  template <class Body>
  auto run(Body&& body, on_loss loss = on_loss::nothing)
      -> engine::result<std::invoke_result_t<Body, pqxx::nontransaction&>> {
    if (auto opened = open(); !opened) return tl::make_unexpected(opened.error());
    const awaiting answer{*this};
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<Body, pqxx::nontransaction&>>) {
        body(*session_);
        return {};
      } else {
        return body(*session_);
      }
    } catch (...) {
      auto error = current_error(loss);
      name_silence(error);
      close_if_lost(error);
      return tl::make_unexpected(std::move(error));
    }
  }

  /// Inside run(), where one body sends several things one after the other: the bound on an answer begins anew.
  void expect_answer() {
    if (is_bounded_) answer_.expect_within(config_.statement_timeout + config_.answer_margin);
  }

  /// One text of one or more statements, one round trip; the last statement's rows.
  engine::result<pqxx::result> exec(const std::string& sql, on_loss loss = on_loss::nothing);

  /// Before an operation that needs nothing of what this connection did before: one that the server has ended while nothing was
  /// asked of it (a restart, an administrator) is closed, so that the next run() makes another and nothing is in doubt. Costs a
  /// look at the socket. Not between the parts of one operation: the new connection knows nothing of what the old one began.
  void drop_if_ended() noexcept;
  /// exec() for a text that is an operation of its own. One that may be done twice (on_loss::nothing: it reads, or writes the same
  /// again) is sent once more when its connection turns out to be lost, but not when the answer did not come in time.
  engine::result<pqxx::result> exec_alone(const std::string& sql, on_loss loss = on_loss::nothing);

  bool is_open() const { return session_ != nullptr; }
  /// libpq's connection, for what libpqxx has no way to say. Only inside run(); nothing may be left half done on it.
  pqxx::internal::pq::PGconn* native_handle() const { return native_; }
  /// Counts the connections made: what lived in a session of another generation is gone.
  std::uint64_t generation() const { return generation_; }
  void close() noexcept;

 private:
  struct awaiting {
    explicit awaiting(link& l) : its(l) { its.expect_answer(); }
    ~awaiting() { its.answer_.answered(); }
    awaiting(const awaiting&) = delete;
    link& its;
  };

  engine::result<void> open();
  engine::result<void> check_incarnation();
  void close_if_lost(const engine::error& error) noexcept;
  void name_silence(engine::error& error) const;

  store_config config_;
  std::string prologue_;
  std::unique_ptr<pqxx::basic_connection_base<telling_connect>> connection_;
  pqxx::internal::pq::PGconn* native_ = nullptr;
  std::unique_ptr<pqxx::quiet_errorhandler> quiet_;
  std::unique_ptr<pqxx::nontransaction> session_;
  std::uint64_t generation_ = 0;
  const bool is_bounded_;
  watched_answer answer_;
};

}  // namespace rowcall::storage::postgres::internal
