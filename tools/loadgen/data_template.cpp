#include "tools/loadgen/data_template.hpp"

#include <algorithm>

#include "tools/loadgen/number.hpp"

namespace rowcall::tools::loadgen {

namespace {

/// 64 characters, so that six random bits choose one.
constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.0123456789";
static_assert(letters.size() == 64);

void append_text(std::string& out, std::size_t bytes, random_source& random) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    if (i % 10 == 0) bits = random.next();
    out += letters[bits & 63];
    bits >>= 6;
  }
}

}  // namespace

engine::result<data_template> data_template::compile(std::string_view text) {
  const auto bad = [](std::string why) { return engine::fail(engine::errc::invalid_argument, "template: " + why); };
  data_template t;
  while (!text.empty()) {
    const std::size_t open = text.find("${");
    if (open != 0) t.parts_.push_back({part_kind::literal, std::string(text.substr(0, open))});
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) return bad("'${' without '}'");
    const std::string_view name = text.substr(open + 2, close - open - 2);
    part p;
    if (name == "session") p.kind = part_kind::session;
    else if (name == "user") p.kind = part_kind::user;
    else if (name == "n") p.kind = part_kind::number;
    else if (name == "text") p.kind = part_kind::text;
    else if (name.substr(0, 4) == "int:") {
      const std::size_t dots = name.find("..");
      if (dots == std::string_view::npos) return bad("${int:LOW..HIGH} is expected");
      const auto low = to_number(name.substr(4, dots - 4)), high = to_number(name.substr(dots + 2));
      if (!low || !high || *low < 0 || *high < *low || *high > 9e15) return bad("${int:LOW..HIGH}: 0 <= LOW <= HIGH");
      p.kind = part_kind::integer;
      p.low = static_cast<std::uint64_t>(*low);
      p.span = static_cast<std::uint64_t>(*high) - p.low + 1;
    } else {
      return bad("unknown placeholder '${" + std::string(name) + "}' (session, user, n, text, int:LOW..HIGH)");
    }
    t.parts_.push_back(std::move(p));
    text.remove_prefix(close + 1);
  }
  return t;
}

void data_template::render(const template_values& values, random_source& random, std::string& out) const {
  for (const part& p : parts_) {
    switch (p.kind) {
      case part_kind::literal: out += p.literal; break;
      case part_kind::session: out += 's' + std::to_string(values.session); break;
      case part_kind::user: out += 'u' + std::to_string(values.user); break;
      case part_kind::number: out += std::to_string(values.number); break;
      case part_kind::text: append_text(out, values.text_bytes, random); break;
      case part_kind::integer: out += std::to_string(p.low + random.below(p.span)); break;
    }
  }
}

}  // namespace rowcall::tools::loadgen
