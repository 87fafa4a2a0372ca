#include "tests/chaos/fault.hpp"

#include <algorithm>

#include "engine/result.hpp"

namespace rowcall::chaos {
namespace {

using enum fault_kind;

struct row {
  fault_kind kind;
  std::string_view name;
  int lasts_min_ms, lasts_max_ms;  ///< 0: it is over at once
};
constexpr std::array<row, fault_kind_count> table{{
    {engine_kill, "engine_kill", 100, 1'200},
    {engine_kill_all, "engine_kill_all", 0, 300},
    {engine_stop, "engine_stop", 50, 600},
    {engine_stop_long, "engine_stop_long", 200, 800},  // on top of the transaction timeout
    {postgres_kill, "postgres_kill", 0, 0},
    {postgres_terminate, "postgres_terminate", 100, 600},
    {nats_kill, "nats_kill", 0, 300},
    {nats_absent, "nats_absent", 1'500, 4'000},
    {postgres_delay, "postgres_delay", 200, 800},
    {postgres_cut, "postgres_cut", 0, 0},
    {postgres_half_close, "postgres_half_close", 0, 0},
    {postgres_stall, "postgres_stall", 100, 1'000},
    {nats_delay, "nats_delay", 200, 800},
    {nats_cut, "nats_cut", 0, 0},
    {nats_half_close, "nats_half_close", 0, 0},
    {nats_stall, "nats_stall", 100, 1'000},
    {disk_full, "disk_full", 300, 1'200},
    {connections_exhausted, "connections_exhausted", 200, 800},
    {snapshot_held, "snapshot_held", 300, 1'000},
    {client_kill, "client_kill", 0, 0},
}};

const row& row_of(fault_kind kind) { return table.at(static_cast<std::size_t>(kind)); }

}  // namespace

std::string_view to_string(fault_kind kind) { return row_of(kind).name; }

std::optional<fault_kind> fault_kind_from(std::string_view name) {
  for (const auto& r : table)
    if (r.name == name) return r.kind;
  return std::nullopt;
}

const std::array<fault_kind, fault_kind_count>& all_fault_kinds() {
  static const auto kinds = [] {
    std::array<fault_kind, fault_kind_count> all{};
    for (std::size_t i = 0; i < table.size(); ++i) all[i] = table[i].kind;
    return all;
  }();
  return kinds;
}

recovery_promise promise_of(fault_kind kind, milliseconds transaction_timeout, milliseconds sweep_interval) {
  using namespace std::chrono_literals;
  switch (kind) {
    case engine_kill:
      return {true, 1'000ms};
    case engine_kill_all:
      return {false, 2'000ms};  // the start of a process included
    case engine_stop_long:
      return {true, transaction_timeout};
    case nats_absent:
      return {true, sweep_interval + 500ms};  // without NATS; NATS back is measured besides
    case snapshot_held:
      return {true, 1'000ms};
    case disk_full:
      return {false, 2'000ms};  // PostgreSQL may have crashed of it
    case connections_exhausted:
      return {false, 2'000ms};  // whoever waits to connect again has backed off
    default:
      return {false, 1'000ms};
  }
}

schedule::schedule(std::uint64_t seed, std::vector<fault_kind> kinds, milliseconds transaction_timeout)
    : random_(tools::loadgen::random_source::named(seed, "chaos")),
      kinds_(std::move(kinds)),
      transaction_timeout_(transaction_timeout) {
  ROWCALL_ASSERT(!kinds_.empty());
}

fault_kind schedule::deal() {
  if (pack_.empty()) {
    pack_ = kinds_;
    for (std::size_t i = pack_.size(); i > 1; --i) std::swap(pack_[i - 1], pack_[random_.below(i)]);
  }
  const auto kind = pack_.back();
  pack_.pop_back();
  return kind;
}

fault schedule::draw(fault_kind kind) {
  const auto& r = row_of(kind);
  fault f;
  f.kind = kind;
  f.lasts =
      milliseconds{r.lasts_min_ms +
                   static_cast<int>(random_.below(static_cast<std::uint64_t>(r.lasts_max_ms - r.lasts_min_ms) + 1))};
  if (kind == engine_stop_long) f.lasts += transaction_timeout_;
  f.target = static_cast<std::uint32_t>(random_.below(1'000));
  f.strength = static_cast<std::uint32_t>(random_.below(1'000));
  return f;
}

episode schedule::next() {
  episode e;
  e.pause = milliseconds{random_.below(150)};
  constexpr std::uint64_t several_percent = 30;
  constexpr std::uint64_t begins_within_ms = 300;
  const bool is_several = kinds_.size() > 1 && random_.below(100) < several_percent;
  const std::size_t count = is_several ? 2 + random_.below(3) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    e.faults.push_back(draw(deal()));
    if (is_several) e.faults.back().begins = milliseconds{random_.below(begins_within_ms)};
  }
  return e;
}

std::string describe(const fault& f) {
  return std::string(to_string(f.kind)) + " target " + std::to_string(f.target) + " strength " +
         std::to_string(f.strength) + ", " + std::to_string(f.lasts.count()) + " ms from " +
         std::to_string(f.begins.count()) + " ms on";
}

}  // namespace rowcall::chaos
