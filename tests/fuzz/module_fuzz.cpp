#include "engine/session.hpp"
#include "tests/fuzz/fuzz.hpp"

/// Commands through each module: first the session's id, then a line for each command, `<type> <data>`. What is not valid
/// comes in all the same: plain SQL and other languages are clients as well.
///
/// The log that comes out is gapless, answers every command, and is worth as much as the state in memory: a session loaded
/// from it decides on the next command as the one that wrote it.
namespace {

using namespace rowcall;
using namespace rowcall::engine;

std::shared_ptr<const session_config> config() {
  auto c = std::make_shared<session_config>();
  c->node = "fuzz";
  c->retry.attempts_max = 1;
  c->snapshot_interval_updates = 4;
  return c;
}

void expect_same(const session::outcome& a, const session::outcome& b) {
  FUZZ_EXPECT(a.writes.after == b.writes.after);
  FUZZ_EXPECT(a.writes.updates.size() == b.writes.updates.size());
  for (std::size_t i = 0; i < a.writes.updates.size(); ++i) {
    FUZZ_EXPECT(a.writes.updates[i].type == b.writes.updates[i].type);
    FUZZ_EXPECT(a.writes.updates[i].data == b.writes.updates[i].data);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto modules = standard_modules();
  static const auto configured = config();
  static json::parser parser;
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  const auto id = session_id::parse(fuzz::take_line(input));
  if (!id) return 0;
  const auto* module = modules.find(id->kind());
  if (module == nullptr) return 0;

  session s(*id, *module, configured);
  FUZZ_EXPECT(s.load({}, parser));
  session_image image;
  command_seq last;
  for (int left = 40; left > 0 && !input.empty(); --left) {
    const auto line = fuzz::take_line(input);
    const auto space = line.find(' ');
    command_row row;
    row.seq = last.next();
    row.type = line.substr(0, space);
    row.data = space == std::string_view::npos ? "{}" : line.substr(space + 1);
    (void)validate({*id, row.type, row.data, std::nullopt});
    if (!is_valid_type(row.type)) continue;  // a constraint of the log

    session cold(*id, *module, configured);
    FUZZ_EXPECT(cold.load(image, parser));
    const auto before = s.is_loaded() ? s.cursor() : image.cursor;
    if (!s.is_loaded()) FUZZ_EXPECT(s.load(image, parser));
    const auto out = s.decide(before, {&row, 1}, parser, std::nullopt, true);
    FUZZ_EXPECT(out.kind == session::outcome::status::decided);
    expect_same(out, cold.decide(image.cursor, {&row, 1}, parser, std::nullopt, true));
    if (out.writes.updates.empty()) break;  // held: it would be tried again later
    for (const auto& u : out.writes.updates) {
      FUZZ_EXPECT(u.seq == image.cursor.update.next());
      FUZZ_EXPECT(u.command == row.seq);
      FUZZ_EXPECT(is_valid_type(u.type));
      FUZZ_EXPECT(parser.parse_object(u.data));
      image.cursor = {u.seq, u.command};
      image.tail.push_back(u);
    }
    if (out.writes.snapshot) {
      image.snapshot = out.writes.snapshot;
      image.tail.clear();
    }
    for (const auto& sent : out.writes.sends) FUZZ_EXPECT(session_id::parse(sent.command.target.str()));
    last = row.seq;
  }
  return 0;
}
