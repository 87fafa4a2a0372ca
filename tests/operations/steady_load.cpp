#include "tests/operations/steady_load.hpp"

#include "tests/support/eventually.hpp"

namespace rowcall::operations {
namespace {

using namespace std::chrono_literals;

constexpr int commands_of_a_batch = 20;
constexpr std::size_t commands_max = 50'000;  // whatever a test does, it ends

std::string session_name(int n) { return "echo-" + std::to_string(n); }

}  // namespace

steady_load::steady_load(const e2e::deployment& d, int sessions)
    : sessions_(sessions),
      bus_(d.connect()),
      witness_(std::make_unique<e2e::witness>(d, *bus_)),
      submitter_(e2e::make_submitter(d, *bus_)) {
  for (int s = 0; s < sessions_; ++s) witness_->follow(session_name(s));
  thread_ = std::thread([this] { run(); });
}

steady_load::~steady_load() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void steady_load::run() {
  for (std::size_t n = 0; !is_stopping_ && n < commands_max;) {
    std::vector<engine::command_request> batch;
    for (int i = 0; i < commands_of_a_batch; ++i, ++n)
      batch.push_back({e2e::id(session_name(static_cast<int>(n) % sessions_)), "say", {}, "key-" + std::to_string(n)});
    for (const auto& outcome : witness_->submit(*submitter_, std::move(batch)))
      if (outcome) ++acknowledged_;
  }
}

bool steady_load::goes_on(std::size_t more) {
  const auto target = acknowledged_ + more;
  return support::eventually(30s, [&] { return acknowledged_ >= target; });
}

checker::history steady_load::finish() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return witness_->finish();
}

}  // namespace rowcall::operations
