#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// What a fuzzer has found is told by an abort, with a line that says which promise was broken.
#define FUZZ_EXPECT(promise)                                                      \
  do {                                                                            \
    if (!(promise)) {                                                             \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise);  \
      std::abort();                                                               \
    }                                                                             \
  } while (false)

namespace rowcall::fuzz {

/// Takes the bytes before the next line feed off the input.
inline std::string_view take_line(std::string_view& input) {
  const auto end = input.find('\n');
  const auto line = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

}  // namespace rowcall::fuzz
