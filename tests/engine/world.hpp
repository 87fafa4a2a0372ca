#pragma once

#include <gmock/gmock.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/session.hpp"

namespace rowcall::engine {

/// Sessions of the standard modules that send to one another, without any store: each command is decided at once, each
/// sent one after it, in order. Keeps the logs, so that a session can be loaded from them anew.
class world {
 public:
  struct log {
    session_id id;
    std::vector<update_row> updates;
    std::vector<snapshot_row> snapshots;
    std::vector<domain_row> rows;
    std::unique_ptr<session> live;
  };

  explicit world(int snapshot_interval_updates = 256) {
    config_->node = "node-1";
    config_->snapshot_interval_updates = snapshot_interval_updates;
  }

  /// Submits a command and all that follows from it. Returns the updates of the command itself.
  std::vector<update_row> submit(std::string_view id, std::string type, std::string data) {
    const auto first = deliver(*session_id::parse(id), std::move(type), std::move(data));
    while (!sent_.empty()) {
      auto next = std::move(sent_.front());
      sent_.pop_front();
      deliver(next.target, std::move(next.type), std::move(next.data));
    }
    return first;
  }

  log& at(std::string_view id) {
    auto& l = logs_[std::string{id}];
    if (!l.live) {
      l.id = *session_id::parse(id);
      l.live = std::make_unique<session>(l.id, *modules_.find(l.id.kind()), config_);
      EXPECT_TRUE(l.live->load({}, parser_));
    }
    return l;
  }

  std::map<std::string, log>& logs() { return logs_; }

  /// "type data" of every update, for a test to look at.
  std::vector<std::string> updates_of(std::string_view id) {
    std::vector<std::string> lines;
    for (const auto& u : at(id).updates) lines.push_back(u.type + ' ' + u.data);
    return lines;
  }

  /// A session's image: the whole log, or the last snapshot and what follows it.
  session_image image_of(const log& l, bool with_snapshot) const {
    session_image image;
    image.cursor = l.live->cursor();
    image.tail = l.updates;
    if (with_snapshot && !l.snapshots.empty()) {
      image.snapshot = l.snapshots.back();
      image.tail.erase(image.tail.begin(), image.tail.begin() + image.snapshot->seq.value);
    }
    return image;
  }

  /// The state of a session that is loaded from `image`, as its module saves it.
  std::string state_of(const log& l, const session_image& image) {
    // A session shows its state in a snapshot: let it take one after any command.
    auto config = std::make_shared<session_config>(*config_);
    config->snapshot_interval_updates = 1;
    session fresh{l.id, *modules_.find(l.id.kind()), std::move(config)};
    const auto loaded = fresh.load(image, parser_);
    EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().message);
    return snapshot_of(fresh);
  }

  /// The live session's own state. It decides on one more (unknown) command to show it, which is not logged: the
  /// session is loaded from its log afterwards.
  std::string live_state_of(log& l) {
    const auto interval = std::exchange(config_->snapshot_interval_updates, 1);
    const auto image = image_of(l, false);
    auto state = snapshot_of(*l.live);
    config_->snapshot_interval_updates = interval;
    EXPECT_TRUE(l.live->load(image, parser_));
    return state;
  }

 private:
  std::vector<update_row> deliver(const session_id& id, std::string type, std::string data) {
    auto& l = at(id.str());
    const command_row row{l.live->cursor().command.next(), std::move(type), std::move(data), {}};
    auto out = l.live->decide(l.live->cursor(), {&row, 1}, parser_);
    EXPECT_EQ(out.kind, session::outcome::status::decided);
    EXPECT_TRUE(l.live->is_loaded()) << row.type << ' ' << row.data << ": held";
    EXPECT_THAT(out.writes.dead_letters, testing::IsEmpty());
    l.updates.insert(l.updates.end(), out.writes.updates.begin(), out.writes.updates.end());
    l.rows.insert(l.rows.end(), out.writes.rows.begin(), out.writes.rows.end());
    if (out.writes.snapshot) l.snapshots.push_back(*out.writes.snapshot);
    for (auto& s : out.writes.sends) sent_.push_back(std::move(s.command));
    return out.writes.updates;
  }

  std::string snapshot_of(session& s) {
    const command_row row{s.cursor().command.next(), "show", "{}", {}};
    const auto out = s.decide(s.cursor(), {&row, 1}, parser_);
    EXPECT_TRUE(out.writes.snapshot) << out.snapshot_error;
    return out.writes.snapshot ? out.writes.snapshot->state : "";
  }

  module_registry modules_ = standard_modules();
  std::shared_ptr<session_config> config_ = std::make_shared<session_config>();
  json::parser parser_;
  std::map<std::string, log> logs_;
  std::deque<sent_command> sent_;
};

}  // namespace rowcall::engine
