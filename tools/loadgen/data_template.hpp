#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/result.hpp"
#include "tools/loadgen/random_source.hpp"

namespace rowcall::tools::loadgen {

/// What a template's placeholders stand for in one command.
struct template_values {
  std::size_t session = 0;     ///< ${session}: s0, s1, …
  std::size_t user = 0;        ///< ${user}: u0, u1, …
  std::uint64_t number = 0;    ///< ${n}: the command's number in the run, from 0
  std::size_t text_bytes = 0;  ///< ${text}: this many random characters that JSON need not escape
};

/// The text of a JSON object with placeholders: ${session}, ${user}, ${n}, ${text}, ${int:1..100} (a random number of
/// the range). Compiled once, rendered for each command. A placeholder stands inside a JSON string or, for numbers,
/// alone: {"from":"${user}","n":${n}}.
class data_template {
 public:
  /// Errors: invalid_argument for an unknown or unclosed placeholder.
  static engine::result<data_template> compile(std::string_view text);
  /// Appends to `out`.
  void render(const template_values& values, random_source& random, std::string& out) const;

 private:
  enum class part_kind { literal, session, user, number, text, integer };
  struct part {
    part_kind kind = part_kind::literal;
    std::string literal;
    std::uint64_t low = 0, span = 1;
  };
  std::vector<part> parts_;
};

}  // namespace rowcall::tools::loadgen
