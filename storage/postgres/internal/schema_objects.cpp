#include "storage/postgres/internal/schema_objects.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

namespace rowcall::storage::postgres::internal {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '"'; }

/// Words (names without their schema and quotes) and the marks `,` `;` `(` `)`; no comments, literals or function
/// bodies.
std::vector<std::string> tokens(std::string_view sql) {
  std::vector<std::string> out;
  const auto skip_to = [&](std::size_t from, std::string_view end) {
    const auto at = sql.find(end, from);
    return at == std::string_view::npos ? sql.size() : at + end.size();
  };
  for (std::size_t i = 0; i < sql.size();) {
    const char c = sql[i];
    if (sql.substr(i, 2) == "--") {
      i = skip_to(i, "\n");
    } else if (sql.substr(i, 2) == "$$") {
      i = skip_to(i + 2, "$$");
    } else if (c == '\'') {
      i = skip_to(i + 1, "'");  // a doubled quote is two literals side by side
    } else if (is_word(c)) {
      const auto begin = i;
      while (i < sql.size() && is_word(sql[i])) ++i;
      std::string word{sql.substr(begin, i - begin)};
      std::erase(word, '"');
      if (word.starts_with("rowcall.")) word.erase(0, 8);
      out.push_back(std::move(word));
    } else {
      if (c == ',' || c == ';' || c == '(' || c == ')') out.emplace_back(1, c);
      ++i;
    }
  }
  return out;
}

std::optional<std::string> kind_of(const std::string& word) {
  for (const auto* kind : {"TABLE", "VIEW", "INDEX", "FUNCTION", "TRIGGER", "CONSTRAINT"})
    if (word == kind) {
      std::string name{kind};
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      return name;
    }
  return std::nullopt;
}

bool is_filler(const std::string& word) {
  for (const auto* filler : {"OR", "REPLACE", "UNIQUE", "CONCURRENTLY", "IF", "NOT", "EXISTS", "ONLY", "UNLOGGED"})
    if (word == filler) return true;
  return false;
}

}  // namespace

void schema_objects::drop(const schema_object& object) {
  std::erase_if(objects_, [&](const owned& o) {
    return o.object == object || (object.kind == "table" && o.table == object.name);
  });
}

void schema_objects::apply(std::string_view sql) {
  const auto words = tokens(sql);
  std::string table;  // that the statement is about
  const auto skip = [&](std::size_t i) {
    while (i < words.size() && is_filler(words[i])) ++i;
    return i;
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == ";") table.clear();
    if (words[i] == "CREATE" || words[i] == "ALTER") {
      const auto at = skip(i + 1);
      if (at + 1 >= words.size()) continue;
      const auto kind = kind_of(words[at]);
      const auto name = skip(at + 1);
      if (!kind || name >= words.size()) continue;
      if (*kind == "table") table = words[name];
      if (words[i] == "CREATE") {
        owned made{{*kind, words[name]}, {}};
        if (*kind == "index" || *kind == "trigger") {
          const auto on = std::find(words.begin() + static_cast<std::ptrdiff_t>(name), words.end(), "ON");
          if (on != words.end() && on + 1 != words.end()) made.table = *(on + 1);
        }
        objects_.insert(std::move(made));
      }
      i = name;
    } else if (words[i] == "DROP") {
      const auto kind = i + 1 < words.size() ? kind_of(words[i + 1]) : std::nullopt;
      if (!kind) continue;
      auto name = skip(i + 2);
      for (; name < words.size(); name += 2) {
        drop({*kind, words[name]});
        i = name;
        if (name + 1 >= words.size() || words[name + 1] != ",") break;
      }
    } else if (words[i] == "CONSTRAINT" && !table.empty() && i + 1 < words.size() && (i == 0 || words[i - 1] != "ON")) {
      objects_.insert({{"constraint", words[i + 1]}, table});
    }
  }
}

std::set<schema_object> schema_objects::all() const {
  std::set<schema_object> out;
  for (const auto& o : objects_) out.insert(o.object);
  return out;
}

}  // namespace rowcall::storage::postgres::internal
