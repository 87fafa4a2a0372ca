#include "storage/postgres/internal/errors.hpp"

#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#include <pqxx/except>

namespace rowcall::storage::postgres::internal {
namespace {

using engine::errc;
using engine::error;

/// The server's text on one line.
std::string line(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\n' || c == '\r') c = ' ';
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  constexpr std::string_view prefix = "ERROR: ";
  if (out.starts_with(prefix)) out.erase(0, prefix.size());
  return out;
}

/// Why a connection is lost; empty when nobody has said so. libpqxx asks a connection that is gone for its encoding, in
/// order to read the error.
std::string reason(std::string_view what) {
  auto out = line(what);
  if (out.find("client encoding") != std::string::npos) out.clear();
  return out;
}

error lost(on_loss loss, std::string_view what) {
  const auto why = reason(what);
  if (loss == on_loss::commit)
    return {errc::commit_in_doubt,
            "the connection to PostgreSQL was lost during COMMIT" + (why.empty() ? "" : ": " + why)};
  return {errc::connection_lost, why.empty() ? "the connection to PostgreSQL was lost" : why};
}

bool names(std::string_view what, std::string_view constraint) { return what.find(constraint) != std::string_view::npos; }

error unique(std::string_view what) {
  // The constraint's name is in the message in every language.
  if (names(what, "update_log_pk") || names(what, "snapshots_pk") || names(what, "dead_letters_pk"))
    return {errc::fenced, "another turn has served this session meanwhile: " + line(what)};
  if (names(what, "command_log_pk") || names(what, "command_log_idempotency"))
    return {errc::serialization_failure, "another submitter did not take the submit lock: " + line(what)};
  return {errc::internal, line(what), true};
}

error from_sqlstate(const std::string& state, on_loss loss, std::string_view what) {
  const std::string_view category = std::string_view{state}.substr(0, 2);
  if (state == "55006") return {errc::busy, line(what)};
  if (state == "57014" || state == "55P03") return {errc::timed_out, line(what)};
  if (state == "57P03" || category == "53") return {errc::unavailable, line(what)};
  if (category == "57" || category == "08" || state == "25P03") return lost(loss, what);
  if (category == "40") return {errc::serialization_failure, line(what)};
  if (state == "P0002") return {errc::not_found, line(what)};
  if (category == "22" || state == "23514" || state == "23502") return {errc::invalid_argument, line(what), true};
  if (category == "23") return {errc::internal, line(what), true};
  if (state == "42P01" || state == "42883" || state == "3F000" || state == "42703")
    return {errc::schema_mismatch, line(what) + " (run `rowcall migrate up`)"};
  return {errc::internal, line(what)};
}

}  // namespace

error current_error(on_loss loss) {
  try {
    throw;
  } catch (const pqxx::in_doubt_error& e) {
    return {errc::commit_in_doubt, line(e.what())};
  } catch (const pqxx::transaction_rollback& e) {
    return {errc::serialization_failure, line(e.what())};
  } catch (const pqxx::too_many_connections& e) {
    return {errc::unavailable, line(e.what())};
  } catch (const pqxx::broken_connection& e) {
    return lost(loss, e.what());
  } catch (const pqxx::unique_violation& e) {
    return unique(e.what());
  } catch (const pqxx::insufficient_privilege& e) {  // 42501, which libpqxx 6.4 does not tell in sqlstate()
    return {errc::not_permitted, line(e.what())};
  } catch (const pqxx::sql_error& e) {
    return from_sqlstate(e.sqlstate(), loss, e.what());
  } catch (const std::invalid_argument& e) {
    return {errc::invalid_argument, line(e.what())};
  } catch (const std::bad_alloc&) {
    return {errc::internal, "out of memory"};
  } catch (const std::exception& e) {
    return {errc::internal, line(e.what())};
  }
}

}  // namespace rowcall::storage::postgres::internal
