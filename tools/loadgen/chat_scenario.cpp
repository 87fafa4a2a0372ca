#include "tools/loadgen/chat_scenario.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tools/loadgen/data_template.hpp"
#include "tools/loadgen/number.hpp"

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;

constexpr std::size_t rooms_of_a_user = 2;  ///< so that there is something to select

enum class action { post, select, read };
constexpr std::array<std::string_view, 3> action_names{"post", "select", "read"};

struct chat_config {
  std::string run;
  std::size_t users, rooms;
  std::array<double, 3> weights;
  key_chooser keys;  ///< chooses the user
  size_distribution size;
  data_template post;
};

/// Sessions 0 to rooms-1 are the rooms, the users follow.
///
/// A post goes to the room itself with a member as its sender: one turn from submit to what all members see. A select
/// goes to the user's own session. A read looks at the end of a room's log, as a client that opens it does.
class chat_scenario final : public scenario {
 public:
  explicit chat_scenario(chat_config config) : config_(std::move(config)) {}

  std::size_t initial_sessions() const override { return config_.rooms + config_.users; }

  engine::session_id id_of(session_index session) const override {
    const std::string text = session < config_.rooms ? fmt::format("chat-{}-{}", config_.run, session)
                                                     : "user-" + user_name(session - config_.rooms);
    auto id = engine::session_id::parse(text);
    ROWCALL_ASSERT(id.has_value());
    return std::move(*id);
  }

  std::vector<std::vector<planned_command>> setup() override {
    std::vector<planned_command> create, join, settle;
    for (std::size_t room = 0; room < config_.rooms; ++room)
      create.push_back({static_cast<session_index>(room), "create_chat",
                        fmt::format(R"({{"name":"room {}","sender":"{}"}})", room, user_name(first_member(room)))});
    for (std::size_t user = 0; user < config_.users; ++user)
      for (std::size_t slot = 0; slot < rooms_of_a_user; ++slot)
        join.push_back({static_cast<session_index>(room_of(user, slot)), "join_chat",
                        fmt::format(R"({{"sender":"{}"}})", user_name(user))});
    // A room tells its members by commands in the users' sessions, sent in the turns of the joins: they are in the
    // users' logs when the joins are answered, so a command sent to a user now is behind them.
    for (std::size_t user = 0; user < config_.users; ++user) settle.push_back(select(user, room_of(user, 0)));
    return {create, join, settle};
  }

  planned_command next(random_source& random) override {
    const std::size_t user = config_.keys.next(random);
    const std::size_t room = room_of(user, random.below(rooms_of_a_user));
    double x = random.unit() * (config_.weights[0] + config_.weights[1] + config_.weights[2]);
    std::size_t chosen = 0;
    while (chosen + 1 < config_.weights.size() && (x -= config_.weights[chosen]) >= 0) ++chosen;
    while (config_.weights[chosen] == 0) --chosen;  // a rounding error must not choose what has no weight
    switch (static_cast<action>(chosen)) {
      case action::select: return select(user, room);
      case action::read: return {static_cast<session_index>(room), {}, {}};
      case action::post: break;
    }
    planned_command p{static_cast<session_index>(room), "post_message", R"({"text":")"};
    config_.post.render({room, user, 0, std::max<std::size_t>(1, config_.size.next(random))}, random, p.data);
    p.data += fmt::format(R"(","sender":"{}"}})", user_name(user));
    return p;
  }

  bool has_one_update_a_command() const override { return false; }

 private:
  std::string user_name(std::size_t user) const { return fmt::format("{}-{}", config_.run, user); }
  /// Round robin over the rooms: each gets the same number of members.
  std::size_t room_of(std::size_t user, std::size_t slot) const { return (user * rooms_of_a_user + slot) % config_.rooms; }
  std::size_t first_member(std::size_t room) const { return room / rooms_of_a_user; }
  planned_command select(std::size_t user, std::size_t room) const {
    return {static_cast<session_index>(config_.rooms + user), "select_chat",
            fmt::format(R"({{"chat_id":"chat-{}-{}"}})", config_.run, room)};
  }

  chat_config config_;
};

engine::result<std::array<double, 3>> parse_mix(std::string_view text) {
  std::array<double, 3> weights{};
  double sum = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t colon = part.find(':');
    const auto name = std::find(action_names.begin(), action_names.end(), part.substr(0, colon));
    const auto weight = colon == std::string_view::npos ? std::nullopt : to_number(part.substr(colon + 1));
    if (name == action_names.end() || !weight || *weight < 0)
      return fail(errc::invalid_argument, fmt::format("mix '{}': post:WEIGHT, select:WEIGHT or read:WEIGHT is expected", part));
    weights[static_cast<std::size_t>(name - action_names.begin())] = *weight;
    sum += *weight;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (sum <= 0) return fail(errc::invalid_argument, "mix: at least one weight has to be above 0");
  return weights;
}

}  // namespace

engine::result<std::unique_ptr<scenario>> make_chat_scenario(const scenario_options& options) {
  if (options.run.empty() || options.run.size() > 24 || !engine::is_valid_kind(options.run))
    return fail(errc::invalid_argument, "run '" + options.run + "': 1 to 24 of A-Z a-z 0-9 _ are expected");
  if (options.users == 0 || options.room_users == 0 || options.room_users > 1000)
    return fail(errc::invalid_argument, "chat: at least one user, and rooms of 1 to 1,000 users, are expected");
  const auto weights = parse_mix(options.mix);
  if (!weights) return tl::make_unexpected(weights.error());
  auto keys = key_chooser::parse(options.keys, options.users);
  if (!keys) return tl::make_unexpected(keys.error());
  const auto size = size_distribution::parse(options.size);
  if (!size) return tl::make_unexpected(size.error());
  const std::size_t rooms = (options.users * rooms_of_a_user + options.room_users - 1) / options.room_users;
  return std::make_unique<chat_scenario>(chat_config{options.run, options.users, std::max<std::size_t>(1, rooms), *weights,
                                                     *keys, *size, *data_template::compile("${text}")});
}

}  // namespace rowcall::tools::loadgen
