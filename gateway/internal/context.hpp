#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "gateway/access.hpp"
#include "gateway/config.hpp"
#include "gateway/internal/answers.hpp"
#include "gateway/internal/console_history.hpp"
#include "gateway/internal/feed_hub.hpp"
#include "gateway/internal/http.hpp"
#include "gateway/internal/limits.hpp"
#include "gateway/internal/reader_pool.hpp"
#include "gateway/metrics.hpp"
#include "gateway/ports.hpp"

namespace rowcall::gateway::internal {

class stream;
class static_files;
class server;

/// The last page of /metrics, which anybody may ask for as often as he likes.
struct kept_metrics {
  metrics_page page;
  std::chrono::steady_clock::time_point made_at{};
};

/// What operators look at, sampled. See sample_console().
struct console_state {
  console_history history;
  std::chrono::steady_clock::time_point sampled_at{}, watched_at{};
  bool is_sampling = false;
  std::optional<engine::error> failure;  ///< of the last look
};

/// What the handlers share. All of the io thread, but for `on_io` and the pool.
struct context {
  const gateway_config& config;
  gateway_ports& ports;
  /// Runs a function on the io thread. Thread-safe.
  std::function<void(std::function<void()>)> on_io;
  std::shared_ptr<key_ring> keys;
  /// Tokens that were checked with these keys; bounded, and forgotten when the keys are read again.
  std::unordered_map<std::string, identity> verified;
  std::unique_ptr<reader_pool> readers;
  /// One thread for what operators ask: one of their statements at a time, and nobody else waits for it.
  std::unique_ptr<reader_pool> operators;
  console_state console;
  std::unique_ptr<feed_hub> feeds;
  std::unordered_set<stream*> streams;
  std::unordered_map<std::string, std::size_t> streams_of_user;
  rate_limit command_rate{config.commands_per_s, config.commands_burst};
  rate_limit read_rate{config.reads_per_s, config.reads_burst};
  rate_limit signal_rate{config.signals_per_s, config.signals_burst};
  rate_limit login_rate{config.logins_per_s, config.logins_burst};
  api_counters counters;
  kept_metrics metrics;
  engine::json::parser parser;
  std::shared_ptr<server> http;      ///< for its counters
  std::string gateway_id;            ///< of this process: tells its own signals when they come back
  std::size_t submissions_open = 0;  ///< the submitter will call back for each
  bool is_database_there = false;
  bool is_draining = false;

  /// Reads on a reader thread, then continues on the io thread; false when too many reads wait. `then` (and with it
  /// what it holds: exchanges, streams) is only ever called and destroyed on the io thread.
  template <class Work, class Then>
  bool read(Work work, Then then) {
    return read_on(*readers, std::move(work), std::move(then));
  }
  template <class Work, class Then>
  bool read_on(reader_pool& pool, Work work, Then then) {
    auto held = std::make_shared<Then>(std::move(then));
    auto post_back = on_io;
    return pool.post(
        [work = std::move(work), held, post_back = std::move(post_back)](reader_stores& stores) mutable {
          auto outcome = std::make_shared<decltype(work(stores))>(work(stores));
          // Moved, so that the last reference ends there and not here.
          post_back([held = std::move(held), outcome = std::move(outcome)] { (*held)(std::move(*outcome)); });
        });
  }
};

/// Runs with who is asking; answers 401 (or 403 for a page of elsewhere) by itself otherwise.
std::optional<identity> identify(context& c, exchange& e);

using handler = std::function<void(context&, const exchange_ptr&)>;

/// 503 for a full reader queue.
inline http_answer too_busy() { return problem_later(503, "busy", "too many reads are waiting; try again", 1); }

/// 503 for what was read of a database that another state has taken the place of since.
inline http_answer restored_meanwhile() {
  return problem_later(503, "restored", "the database was restored meanwhile; try again", 1);
}

/// On a reader thread, before what is read of it: `known`, or what the database says when nothing is known yet.
inline engine::result<std::string> incarnation_of(reader_stores& stores, std::string known) {
  if (known.empty()) return stores.updates->incarnation();
  return known;
}

}  // namespace rowcall::gateway::internal
