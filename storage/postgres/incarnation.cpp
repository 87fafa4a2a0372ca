#include "storage/postgres/incarnation.hpp"

#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"

namespace rowcall::storage::postgres {

using namespace engine;

result<std::string> read_incarnation(const store_config& config) {
  internal::link link(config, {"incarnation_get"});
  auto rows = link.exec(internal::call("incarnation_get").str());
  if (!rows) return tl::make_unexpected(rows.error());
  if (rows->empty()) return fail(errc::internal, "rowcall.incarnation has no row");
  return internal::string((*rows)[0][0]);
}

result<std::string> mark_restored(store_config config) {
  config.statement_timeout = std::chrono::milliseconds{0};
  internal::link link(std::move(config), {"incarnation_renew"});
  auto rows = link.exec(internal::call("incarnation_renew").str(), internal::on_loss::commit);
  if (!rows) return tl::make_unexpected(rows.error());
  return internal::string((*rows)[0][0]);
}

}  // namespace rowcall::storage::postgres
