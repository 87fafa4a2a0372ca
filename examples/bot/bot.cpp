#include "examples/bot/bot.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace example {

using rowcall::client::submitter;
using rowcall::engine::command_request;
using rowcall::engine::session_id;
using rowcall::engine::snapshot_row;
using rowcall::engine::submit_receipt;
using rowcall::engine::update_row;
using rowcall::engine::update_seq;
namespace json = rowcall::engine::json;

namespace {

/// How every answer begins: bots do not answer each other.
constexpr std::string_view mark = "re #";

bool is_member_joined(const update_row& update, std::string_view name, json::parser& parser) {
  if (update.type != "member_joined") return false;
  const auto data = parser.parse_object(update.data);
  return data && json::string_at(*data, "user_id") == name;
}

std::string post_message(const session_id& room, std::string_view text) {
  json::writer w;
  w.begin_object().key("chat_id").string(room.str()).key("text").string(text).end_object();
  return std::move(w).str();
}

}  // namespace

std::optional<std::string> answer_to(const update_row& update, std::string_view name, json::parser& parser) {
  if (update.type != "new_message") return std::nullopt;
  const auto data = parser.parse_object(update.data);
  if (!data) return std::nullopt;
  const auto sender = json::string_at(*data, "sender");
  const auto text = json::string_at(*data, "text");
  if (!sender || !text || *sender == name || text->starts_with(mark)) return std::nullopt;
  std::istringstream words{std::string{*text}};
  const auto count = std::distance(std::istream_iterator<std::string>{words}, {});
  return std::string{mark} + std::to_string(update.seq.value) + ": " + std::to_string(count) +
         (count == 1 ? " word from " : " words from ") + std::string{*sender};
}

std::optional<update_seq> position_file::read() const {
  std::ifstream file{path_};
  if (!file) return std::nullopt;
  update_seq seq;
  if (!(file >> seq.value) || seq.value < 0)
    throw std::runtime_error(path_ + " does not hold a seq; remove it to begin anew");
  return seq;
}

void position_file::write(update_seq seq) const {
  const auto text = std::to_string(seq.value) + '\n';
  const auto fresh = path_ + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool is_written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  if (!is_written || std::rename(fresh.c_str(), path_.c_str()) != 0) throw std::runtime_error("cannot write " + path_);
}

bot::bot(identity who, submitter& s, position_file position)
    : who_(std::move(who)),
      session_(session_id::parse("user-" + who_.name).value()),
      submitter_(s),
      file_(std::move(position)),
      position_(file_.read()) {}

submitter::outcome bot::join() {
  json::writer w;
  w.begin_object().key("chat_id").string(who_.room.str()).end_object();
  return submitter_.submit(command_request{session_, "join_chat", std::move(w).str(), std::nullopt});
}

void bot::answer(std::span<const update_row> updates, const std::atomic<bool>& stop) {
  std::vector<command_request> answers;
  auto position = position_;
  for (const auto& update : updates) {
    if (position) {
      if (auto text = answer_to(update, who_.name, parser_))
        answers.push_back({session_, "post_message", post_message(who_.room, *text),
                           "answer-" + who_.room.str() + '-' + std::to_string(update.seq.value)});
      position = update.seq;
    } else if (is_member_joined(update, who_.name, parser_)) {
      position = update.seq;
    }
  }
  if (store(std::move(answers), stop) && position != position_) move_to(*position);
}

void bot::skip_to(const snapshot_row& snapshot) {
  const auto state = parser_.parse_object(snapshot.state);
  json::value members;
  if (!state || state->at_key("members").get(members) != simdjson::SUCCESS || !members.is_array()) return;
  for (const json::value member : members.get_array())
    if (member.is_string() && std::string_view{member} == who_.name) return move_to(snapshot.seq);
}

void bot::move_to(update_seq seq) {
  file_.write(seq);
  position_ = seq;
}

bool bot::store(std::vector<command_request> answers, const std::atomic<bool>& stop) {
  constexpr std::chrono::milliseconds pause{200};
  const auto is_stored = [](const submitter::outcome& o) { return o && o->kind != submit_receipt::outcome::busy; };
  while (!answers.empty()) {
    const auto outcomes = submitter_.submit(answers);
    const auto failed = std::ranges::find_if_not(outcomes, is_stored);
    if (failed == outcomes.end()) return true;
    std::fprintf(stderr, "bot: %s; trying again\n",
                 *failed ? "too many commands are pending" : failed->error().message.c_str());
    if (stop) return false;
    std::this_thread::sleep_for(pause);
    // The keys make it safe to submit all of them again, also those that are stored.
  }
  return true;
}

}  // namespace example
