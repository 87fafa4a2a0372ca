#include "engine/json.hpp"
#include "engine/types.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tools/connect/duration.hpp"

/// The small languages: JSON, session ids, durations.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rowcall;
  namespace json = engine::json;
  const std::string_view input{reinterpret_cast<const char*>(bytes), size};

  static json::parser parser, second;
  if (const auto parsed = parser.parse(input)) {
    (void)json::has_nul(*parsed);
    (void)json::has_unstorable_exponent(input);
    const auto text = json::to_text(*parsed);
    const auto again = second.parse(text);
    FUZZ_EXPECT(again);
    FUZZ_EXPECT(json::to_text(*again) == text);
    FUZZ_EXPECT(json::has_nul(*again) == json::has_nul(*parsed));
  }
  std::string quoted;
  if (simdjson::validate_utf8(input.data(), input.size())) {
    json::append_quoted(quoted, input);
    const auto parsed = parser.parse(quoted);
    std::string_view text;
    FUZZ_EXPECT(parsed);
    FUZZ_EXPECT(parsed->get(text) == simdjson::SUCCESS && text == input);
  }

  if (const auto id = engine::session_id::parse(input)) {
    FUZZ_EXPECT(id->str() == input);
    FUZZ_EXPECT(input.size() >= 3 && input.size() <= 64);
    FUZZ_EXPECT(input.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == std::string_view::npos);
    FUZZ_EXPECT(engine::is_valid_kind(id->kind()));
    FUZZ_EXPECT(std::string{id->kind()} + '-' + std::string{id->name()} == input);
  }

  if (const auto duration = tools::parse_duration(input)) {
    FUZZ_EXPECT(duration->count() >= 0);
    const auto again = tools::parse_duration(tools::format_duration(*duration));
    FUZZ_EXPECT(again && *again == *duration);
    (void)tools::describe_duration(*duration);
  }
  return 0;
}
