#include <algorithm>
#include <atomic>

#include "storage/memory/inspect.hpp"
#include "storage/memory/memory_stores.hpp"
#include "tests/conformance/store_backend.hpp"

namespace rowcall::conformance {
namespace {

/// Goes on only when told.
class hand_clock final : public engine::clock {
 public:
  time_point now() const override { return time_point{std::chrono::nanoseconds{now_ns_.load()}}; }
  void pass(std::chrono::nanoseconds time) { now_ns_ += time.count(); }

 private:
  std::atomic<std::int64_t> now_ns_{std::chrono::nanoseconds{std::chrono::hours{24}}.count()};
};

class memory_backend final : public store_backend {
 public:
  std::unique_ptr<engine::turn_store> turns(const std::string& node) override {
    return storage::memory::make_turn_store(db_, node);
  }
  std::unique_ptr<engine::node_store> nodes() override { return storage::memory::make_node_store(db_); }
  std::unique_ptr<engine::command_store> commands() override { return storage::memory::make_command_store(db_); }
  std::unique_ptr<engine::update_store> updates() override { return storage::memory::make_update_store(db_); }
  std::unique_ptr<engine::admin_store> admin() override { return storage::memory::make_admin_store(db_); }

  void pass(std::chrono::milliseconds time) override { clock_->pass(time); }
  void make_heartbeat_old(const std::string&) override { clock_->pass(std::chrono::hours{1}); }
  void drop_open_turns() override { storage::memory::drop_open_turns(*db_); }
  std::vector<row> table(const std::string& name, const std::vector<std::string>& columns) override {
    std::vector<row> rows;
    const auto dump = storage::memory::dump(*db_);
    for (const auto& record : dump.tables.at(name)) {
      auto& r = rows.emplace_back();
      for (const auto& column : columns) {
        const auto value = record.find(column);
        r.push_back(value == record.end() ? std::nullopt : value->second);
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

 private:
  std::shared_ptr<hand_clock> clock_ = std::make_shared<hand_clock>();
  std::shared_ptr<storage::memory::database> db_ = storage::memory::make_database(clock_);
};

std::unique_ptr<store_backend> make_memory_backend() { return std::make_unique<memory_backend>(); }

}  // namespace

ROWCALL_STORE_CONFORMANCE(memory, make_memory_backend);

}  // namespace rowcall::conformance
