#include "tools/loadgen/engine_target.hpp"

#include <algorithm>

namespace rowcall::tools::loadgen {

namespace {
constexpr std::size_t reads_waiting_max = 100'000, reconnects_waiting_max = 2;
}

engine_target::engine_target(engine_target_config config) : config_(std::move(config)) {
  ROWCALL_ASSERT(!config_.buses.empty() && config_.submitters > 0 && config_.followers > 0);
}

engine_target::~engine_target() { stop(); }

void engine_target::start(updates on_updates) {
  on_updates_ = std::move(on_updates);
  std::vector<std::unique_ptr<engine::command_store>> stores;
  for (std::size_t i = 0; i < config_.submitters; ++i) stores.push_back(config_.make_command_store());
  submitter_ = std::make_unique<client::submitter>(std::move(stores), *config_.buses.front(), config_.submitter);
  cursors_ = config_.make_update_store();
  reads_ = config_.make_update_store();
  reader_ = std::make_unique<work_queue>(reads_waiting_max);
  reconnector_ = std::make_unique<work_queue>(reconnects_waiting_max);
  const std::lock_guard lock(followers_mutex_);
  make_followers();
}

void engine_target::make_followers() {
  {
    const std::lock_guard lock(live_mutex_);
    is_live_.assign(config_.followers, false);
  }
  for (std::size_t i = 0; i < config_.followers; ++i) {
    client::follow_handler handler;
    handler.on_updates = [this](const engine::session_id& id, std::span<const engine::update_row> updates) {
      session_index index = 0;
      {
        const std::shared_lock lock(indices_mutex_);
        const auto it = indices_.find(id);
        if (it == indices_.end()) return;
        index = it->second;
      }
      on_updates_(index, updates);
    };
    handler.on_live = [this, i](bool is_live) {
      const std::lock_guard lock(live_mutex_);
      is_live_[i] = is_live;
      live_changed_.notify_all();
    };
    client::follower_config config;
    config.poll_interval = config_.poll_interval;
    followers_.push_back({std::make_unique<client::follower>(config_.make_update_store(),
                                                             *config_.buses[i % config_.buses.size()], std::move(handler), config),
                          false});
  }
}

void engine_target::submit(engine::command_request request, submitted done) {
  submitter_->submit_async(std::move(request), [done = std::move(done)](const client::submitter::outcome& o) { done(o); });
}

void engine_target::follow(std::span<const position> positions) {
  const std::lock_guard lock(followers_mutex_);
  follow_with_lock(positions);
}

void engine_target::follow_with_lock(std::span<const position> positions) {
  {
    const std::unique_lock lock(indices_mutex_);
    for (const position& p : positions) indices_[p.session] = p.index;
  }
  for (const position& p : positions) {
    live_follower& f = followers_[p.index % followers_.size()];
    f.is_used = true;
    f.follower->follow(p.session, p.after);
  }
}

void engine_target::unfollow(std::span<const position> positions) {
  const std::lock_guard lock(followers_mutex_);
  for (const position& p : positions) followers_[p.index % followers_.size()].follower->unfollow(p.session);
  const std::unique_lock indices_lock(indices_mutex_);
  for (const position& p : positions) indices_.erase(p.session);
}

void engine_target::reconnect(std::function<std::vector<position>()> where) {
  // One that still waits for the one before it does the same work: a third is not needed.
  reconnector_->push([this, where = std::move(where)] {
    const std::lock_guard lock(followers_mutex_);
    followers_.clear();  // waits for their threads: from here on nothing is told
    make_followers();
    follow_with_lock(where());
  });
}

void engine_target::read(engine::session_id session, std::function<void(bool)> done) {
  // As a client that opens a chat: the position, then the last page.
  const bool is_taken = reader_->push([this, session = std::move(session), done] {
    const auto last = reads_->last(session);
    if (!last) return done(false);
    const auto after = std::max<std::int64_t>(0, last->update.value - static_cast<std::int64_t>(config_.read_updates));
    done(reads_->updates_after(session, {after}, config_.read_updates).has_value());
  });
  if (!is_taken) done(false);
}

engine::result<engine::session_cursor> engine_target::cursor(const engine::session_id& session) { return cursors_->last(session); }

bool engine_target::wait_live(std::chrono::milliseconds timeout) {
  std::vector<bool> is_used;
  {
    const std::lock_guard lock(followers_mutex_);
    for (const live_follower& f : followers_) is_used.push_back(f.is_used);
  }
  std::unique_lock lock(live_mutex_);
  return live_changed_.wait_for(lock, timeout, [&] {
    for (std::size_t i = 0; i < is_used.size(); ++i)
      if (is_used[i] && !is_live_[i]) return false;
    return true;
  });
}

void engine_target::stop() {
  reconnector_.reset();
  reader_.reset();
  submitter_.reset();  // answers what is open
  {
    const std::lock_guard lock(followers_mutex_);
    followers_.clear();
  }
  const std::unique_lock lock(indices_mutex_);
  indices_.clear();
}

}  // namespace rowcall::tools::loadgen
