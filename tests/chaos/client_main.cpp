#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <exception>
#include <thread>

#include "bus/nats_bus.hpp"
#include "client/submitter.hpp"
#include "storage/postgres/stores.hpp"
#include "tests/chaos/journal.hpp"
#include "tests/chaos/workload.hpp"

/// A submitting process, made to be killed: rowcall_chaos_client DATABASE NATS PREFIX NAME JOURNAL SEED. SIGTERM: ends
/// when the batch that is under way has its answers.
namespace rowcall::chaos {
namespace {

using namespace std::chrono_literals;

/// Whether a result says for sure that nothing was stored.
checker::outcome outcome_of(const client::submitter::outcome& o, std::int64_t& seq) {
  using kind = engine::submit_receipt::outcome;
  if (!o)
    return o.error().code == engine::errc::invalid_argument ? checker::outcome::refused : checker::outcome::unknown;
  if (o->kind != kind::stored && o->kind != kind::duplicate) return checker::outcome::refused;
  seq = o->seq.value;
  return checker::outcome::acknowledged;
}

void run(char** argv) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  const std::string name = argv[4];
  auto random = tools::loadgen::random_source::named(std::stoull(argv[6]), name);
  bus::nats_config nats;
  nats.url = argv[2];
  nats.subject_prefix = argv[3];
  nats.name = name;
  const auto bus = bus::connect_nats(nats).value();
  storage::postgres::store_config store;
  store.url = argv[1];
  store.application_name = "rowcall client";
  store.connect_timeout = 2s;
  std::vector<std::unique_ptr<engine::command_store>> stores;
  stores.push_back(storage::postgres::make_command_store(store));
  client::submitter_config config;
  // Some give up early: their outcomes are unknown.
  config.retry_for = std::chrono::milliseconds{500 + 1'000 * random.below(10)};
  client::submitter submitter(std::move(stores), *bus, config);
  journal_writer journal(argv[5]);

  std::uint64_t count = 0;
  int life = 0;  // after an unknown outcome, what was given up may still arrive: no order with what follows is promised
  for (;;) {
    const auto batch = next_batch(random, name, count);
    std::vector<checker::submit> submits;
    std::vector<engine::command_request> requests;
    for (const auto& p : batch) {
      submits.push_back({name + "." + std::to_string(life), p.request.session.str(), p.request.type, p.id});
      requests.push_back(p.request);
    }
    journal.submits(submits);
    const auto outcomes = submitter.submit(std::move(requests));
    bool is_known = true;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      submits[i].result = outcome_of(outcomes[i], submits[i].seq);
      is_known = is_known && submits[i].result != checker::outcome::unknown;
    }
    journal.results(submits);
    if (!is_known) ++life;
    const timespec pause{0, static_cast<long>(10'000'000 + random.below(50'000'000))};
    if (sigtimedwait(&ends, nullptr, &pause) == SIGTERM) return;
  }
}

}  // namespace
}  // namespace rowcall::chaos

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fputs("rowcall_chaos_client DATABASE NATS PREFIX NAME JOURNAL SEED\n", stderr);
    return 2;
  }
  try {
    rowcall::chaos::run(argv);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
