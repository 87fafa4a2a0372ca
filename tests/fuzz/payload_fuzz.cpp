#include "bus/payload.hpp"
#include "tests/fuzz/fuzz.hpp"

/// What comes in over NATS: the subject's session, a line feed, the payload.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rowcall;
  static engine::json::parser parser;
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  const auto session = engine::session_id::parse(fuzz::take_line(input));
  if (!session) return 0;

  const auto wake = bus::decode_wake(*session, input, parser);
  FUZZ_EXPECT(wake.session == *session);
  FUZZ_EXPECT(wake.last.value >= 0);
  FUZZ_EXPECT(bus::decode_wake(*session, bus::encode(wake), parser).last == wake.last);

  const auto notice = bus::decode_updates(*session, input, parser);
  if (!notice) return 0;
  FUZZ_EXPECT(notice->session == *session);
  FUZZ_EXPECT(notice->first.value >= 1 && notice->first <= notice->last);
  auto expected = notice->first;
  for (const auto& u : notice->updates) {
    FUZZ_EXPECT(u.seq == expected);
    expected = expected.next();
  }
  FUZZ_EXPECT(notice->updates.empty() || notice->updates.back().seq == notice->last);
  // Once more around: what was understood is understood again, as the same.
  const auto again = bus::decode_updates(*session, bus::encode(*notice, 1 << 24), parser);
  FUZZ_EXPECT(again);
  FUZZ_EXPECT(again->first == notice->first && again->last == notice->last && again->updates.size() == notice->updates.size());
  for (std::size_t i = 0; i < again->updates.size(); ++i) {
    FUZZ_EXPECT(again->updates[i].type == notice->updates[i].type);
    FUZZ_EXPECT(again->updates[i].data == notice->updates[i].data);
  }
  return 0;
}
