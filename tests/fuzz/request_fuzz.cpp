#include <algorithm>
#include <cctype>

#include "gateway/internal/http.hpp"
#include "gateway/internal/positions.hpp"
#include "tests/fuzz/fuzz.hpp"

/// What a browser or anybody else asks a gateway for, a line each: the target of the request, the Last-Event-ID, a list of
/// media types. (What comes before it, the bytes of HTTP, is Boost.Beast's.)
namespace {

using namespace rowcall::gateway::internal;

std::string percent_encoded(std::string_view text, std::string_view plain) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : text) {
    if (std::isalnum(c) != 0 || plain.find(static_cast<char>(c)) != plain.npos)
      out += static_cast<char>(c);
    else
      (out += '%') += {digits[c >> 4], digits[c & 15]};
  }
  return out;
}

bool has_same_places(const std::vector<stream_place>& a, const std::vector<stream_place>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.session == y.session && x.after == y.after; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::size_t sessions_max = 5;
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  const auto target = rowcall::fuzz::take_line(input);
  const auto event_id = rowcall::fuzz::take_line(input);
  const auto types = rowcall::fuzz::take_line(input);

  (void)accepts(types, "text/event-stream");
  FUZZ_EXPECT(!accepts(types, "") || types.find_first_of(",; \t") != types.npos);

  std::string path;
  std::vector<name_value> query;
  if (!read_target(target, path, query)) return 0;
  FUZZ_EXPECT(path.starts_with('/') && path.find('\0') == path.npos && path.find('\\') == path.npos);
  for (std::size_t at = 0; at < path.size();) {  // no segment is empty or dots, but for the last one, which may be empty
    const auto end = std::min(path.find('/', at + 1), path.size());
    const auto segment = std::string_view{path}.substr(at + 1, end - at - 1);
    FUZZ_EXPECT(segment != "." && segment != ".." && (!segment.empty() || end == path.size()));
    at = end;
  }
  // Written again in another way, it is read as the same.
  std::string again_path, again = percent_encoded(path, "/");
  std::vector<name_value> again_query;
  for (const auto& [name, value] : query) {
    FUZZ_EXPECT(name.find('\0') == name.npos && value.find('\0') == value.npos);
    again += (&name == &query.front().first ? '?' : '&') + percent_encoded(name, "") + '=' + percent_encoded(value, "");
  }
  FUZZ_EXPECT(read_target(again, again_path, again_query));
  FUZZ_EXPECT(again_path == path && again_query == query);

  auto places = read_places(query, sessions_max);
  if (!places) return 0;
  FUZZ_EXPECT(!places->empty() && places->size() <= sessions_max);
  for (std::size_t i = 0; i < places->size(); ++i) {
    FUZZ_EXPECT((*places)[i].after >= at_end);
    for (std::size_t j = 0; j < i; ++j) FUZZ_EXPECT((*places)[i].session != (*places)[j].session);
  }
  if (!apply_event_id(event_id, *places)) return 0;
  for (const auto& place : *places) FUZZ_EXPECT(place.after >= at_end);
  auto twice = *places;
  FUZZ_EXPECT(apply_event_id(event_id, twice) && has_same_places(twice, *places));
  return 0;
}
