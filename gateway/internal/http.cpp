#include "gateway/internal/http.hpp"

#include <algorithm>

namespace rowcall::gateway::internal {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

/// Every segment is a plain name: what a router or a file system could read in two ways is refused.
bool is_plain_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  path.remove_prefix(1);
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto segment = path.substr(0, end);
    if (segment.empty() || segment == "." || segment == ".." || segment.find('\\') != segment.npos) return false;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return true;
}

}  // namespace

std::string_view http_request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::optional<std::string_view> http_request::parameter(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

std::optional<std::string> percent_decode(std::string_view text, bool is_query) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && is_query) {
      c = ' ';
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  return out;
}

bool read_target(std::string_view target, std::string& path, std::vector<name_value>& query) {
  if (target.empty() || target.front() != '/' || target.find('#') != target.npos) return false;
  const auto mark = std::min(target.find('?'), target.size());
  auto decoded = percent_decode(target.substr(0, mark), false);
  // Decoded once: a slash that was encoded (%2f) is refused, as it names another path to another reader.
  if (!decoded || !is_plain_path(*decoded) ||
      std::count(decoded->begin(), decoded->end(), '/') !=
          std::count(target.begin(), target.begin() + static_cast<std::ptrdiff_t>(mark), '/'))
    return false;
  path = *std::move(decoded);
  auto rest = mark < target.size() ? target.substr(mark + 1) : std::string_view{};
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    const auto item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (item.empty()) continue;
    const auto equals = std::min(item.find('='), item.size());
    auto name = percent_decode(item.substr(0, equals), true);
    auto value = percent_decode(equals < item.size() ? item.substr(equals + 1) : std::string_view{}, true);
    if (!name || !value) return false;
    query.emplace_back(*std::move(name), *std::move(value));
  }
  return true;
}

bool accepts(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto entry = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    const auto semicolon = std::min(entry.find(';'), entry.size());
    const auto name = trimmed(entry.substr(0, semicolon));
    if (!equals_ignoring_case(name, item)) continue;
    // A weight of 0 means "not this one".
    const auto parameters = entry.substr(semicolon);
    const auto q = parameters.find("q=");
    if (q == parameters.npos) return true;
    const auto weight = trimmed(parameters.substr(q + 2));
    return weight.find_first_not_of("0.") != weight.npos;
  }
  return false;
}

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

}  // namespace rowcall::gateway::internal
