#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "actors/engine_node.hpp"
#include "bus/nats_bus.hpp"
#include "engine/module.hpp"
#include "storage/postgres/stores.hpp"

/// An engine with a bug on purpose (ROWCALL_CHAOS_BUG), composed as `rowcall serve` is, on a store that has it. The
/// proof that the checker sees what the faults bring about.
namespace rowcall::chaos {
namespace {

using namespace engine;

/// The same calls as a sound store, but for one.
class broken_store : public turn_store {
 public:
  explicit broken_store(std::unique_ptr<turn_store> inner) : inner_(std::move(inner)) {}
  result<turn_claim> claim(const turn_request& request) override {
    request_ = request;
    return inner_->claim(request);
  }
  result<db_time> commit(std::span<const session_writes> writes) override { return inner_->commit(writes); }
  void abandon() override { inner_->abandon(); }

 protected:
  std::unique_ptr<turn_store> inner_;
  turn_request request_;
};

/// A lost connection is taken for a success: the actors go on from what was never written.
class silent_loss final : public broken_store {
 public:
  using broken_store::broken_store;
  result<db_time> commit(std::span<const session_writes> writes) override {
    auto done = inner_->commit(writes);
    if (!done && (done.error().code == errc::connection_lost || done.error().code == errc::commit_in_doubt)) return db_time{};
    return done;
  }
};

/// A commit whose end is not known is written again, behind whatever is there: the cursor is not asked.
class blind_retry final : public broken_store {
 public:
  using broken_store::broken_store;
  result<db_time> commit(std::span<const session_writes> writes) override {
    auto done = inner_->commit(writes);
    if (done || done.error().code != errc::commit_in_doubt) return done;
    auto fresh = request_;
    for (auto& s : fresh.sessions) s.cursor.reset();
    const auto claimed = inner_->claim(fresh);
    if (!claimed) return done;
    std::vector<session_writes> again(writes.begin(), writes.end());
    for (auto& w : again)
      for (std::size_t i = 0; i < fresh.sessions.size(); ++i) {
        if (fresh.sessions[i].session != w.session || !claimed->sessions[i].image || w.updates.empty()) continue;
        const auto behind = claimed->sessions[i].image->cursor.update.value + 1 - w.updates.front().seq.value;
        for (auto& u : w.updates) u.seq.value += behind;
        w.snapshot.reset();
        w.rows.clear();
      }
    if (auto repeated = inner_->commit(again); !repeated) return done;
    return fail(errc::commit_in_doubt, "written twice");  // the actors read what is there now
  }
};

/// Commands to other sessions are forgotten in the turns that follow a lost connection: in ten of a worker's, as it may get
/// few of them, and not all send.
class lost_sends final : public broken_store {
 public:
  using broken_store::broken_store;
  result<db_time> commit(std::span<const session_writes> writes) override {
    std::vector<session_writes> kept(writes.begin(), writes.end());
    if (forgetful_turns_ > 0)
      for (auto& w : kept) w.sends.clear();
    auto done = inner_->commit(kept);
    forgetful_turns_ = done ? std::max(0, forgetful_turns_ - 1) : 10;
    return done;
  }

 private:
  int forgetful_turns_ = 0;
};

std::unique_ptr<turn_store> break_it(std::unique_ptr<turn_store> store, const std::string& bug) {
  if (bug == "silent_loss") return std::make_unique<silent_loss>(std::move(store));
  if (bug == "blind_retry") return std::make_unique<blind_retry>(std::move(store));
  if (bug == "lost_sends") return std::make_unique<lost_sends>(std::move(store));
  std::fprintf(stderr, "there is no bug %s\n", bug.c_str());
  std::_Exit(2);
}

void run(const std::map<std::string, std::string>& options, const std::string& bug) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  bus::nats_config nats;
  nats.url = options.at("--nats");
  nats.subject_prefix = options.at("--subject-prefix");
  const auto bus = bus::connect_nats(nats).value();
  const auto modules = standard_modules();
  storage::postgres::store_config store;
  store.url = options.at("--database");
  store.application_name = "rowcall serve";
  store.transaction_timeout = std::chrono::milliseconds{std::stoi(options.at("--transaction-timeout"))};

  actors::node_config config;
  config.node = actors::make_node_name();
  actors::node_ports ports;
  ports.make_turn_store = [&] { return break_it(storage::postgres::make_turn_store(store, config.node), bug); };
  ports.nodes = storage::postgres::make_node_store(store);
  ports.upkeep = storage::postgres::make_node_store(store);
  ports.bus = bus.get();
  ports.modules = &modules;
  ports.clock = actors::make_steady_clock();
  ports.log = [](log_level, std::string_view text) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  };
  ports.on_fatal = [](std::string_view) { std::abort(); };
  actors::engine_node node{config, std::move(ports)};
  node.start();
  int number = 0;
  sigwait(&ends, &number);
  node.stop(std::chrono::seconds{5});
}

}  // namespace
}  // namespace rowcall::chaos

int main(int argc, char** argv) {
  const char* bug = std::getenv("ROWCALL_CHAOS_BUG");
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strncmp(argv[i], "--", 2) == 0) options[argv[i]] = argv[i + 1];
  rowcall::chaos::run(options, bug == nullptr ? "" : bug);
}
