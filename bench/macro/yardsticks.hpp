#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/work.hpp"

/// What PostgreSQL itself can do with the same rows, measured in the same run as the engine. No actors, no bus, no
/// JSON.
namespace rowcall::bench {

/// The work W: `commands` over `sessions` of kind echo, about 100 bytes of data each, one update a command.
struct work {
  std::size_t sessions = 1'000;
  std::size_t commands = 200'000;
};

/// Stores the commands of `w`, round robin over new sessions from `first_session` on, by SQL inside the server:
/// quickly. Nobody is woken, an engine's sweep finds them.
void store(const std::string& url, std::size_t first_session, const work& w);
/// Empties the logs and stores the commands of W; vacuumed, and a checkpoint taken.
void fill(const std::string& url, const work& w);
/// Empties the logs; the kind echo is known afterwards.
void reset(const std::string& url);
/// Throws unless every command of W has exactly one update, in order.
void verify(const std::string& url, const work& w);

/// `commit`: one durable single-row INSERT at a time; microseconds each.
std::vector<double> commit_us(const std::string& url, std::size_t count);

/// `limit-sql`: the updates of a backlog appended inside PostgreSQL by two backends. Commands/s.
double limit_sql(const std::string& url, const work& w);

/// `limit-client`: a bare libpq loop over the backlog: shard locks, known cursors, COPY, two connections. Commands/s.
double limit_client(const std::string& url, const work& w);

/// Live without the engine: two clients, each with half of the sessions, submit a batch of 1,000 (one transaction) and
/// answer it with limit-client's turn (another one), again and again; nobody is notified, nobody follows. Commands/s.
double live_client(const std::string& url, const work& w);

}  // namespace rowcall::bench
