#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

/// Commands that a ranking reads at most.
constexpr std::int64_t ranked_commands_max = 10'000;

class postgres_session_ranking final : public session_ranking {
 public:
  explicit postgres_session_ranking(store_config config) : link_(std::move(config), {"session_busiest"}, "SET enable_bitmapscan = on;") {}  // as in admin_store

  engine::result<std::vector<busy_session>> busiest(std::size_t limit) override {
    auto rows = link_.exec_alone(
        internal::call("session_busiest").number(ranked_commands_max).number(static_cast<std::int64_t>(limit)).str());
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<busy_session> out;
    for (const auto& row : *rows) {
      auto session = engine::session_id::parse(internal::text(row[0]));
      if (!session) return tl::make_unexpected(session.error());
      out.push_back({*std::move(session), internal::number(row[1]), internal::number(row[2]),
                     std::chrono::milliseconds{internal::number(row[3])}});
    }
    return out;
  }

 private:
  internal::link link_;
};

}  // namespace

std::unique_ptr<session_ranking> make_session_ranking(store_config config) {
  return std::make_unique<postgres_session_ranking>(std::move(config));
}

}  // namespace rowcall::storage::postgres
