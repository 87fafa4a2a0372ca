#include "gateway/internal/static_files.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/types.hpp"
#include "gateway/internal/gzip.hpp"

namespace rowcall::gateway::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t file_bytes_max = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds look_interval{300};

struct media_type {
  std::string_view suffix, type;
};
constexpr std::array<media_type, 15> media_types{{{".html", "text/html; charset=utf-8"},
                                                  {".js", "text/javascript; charset=utf-8"},
                                                  {".mjs", "text/javascript; charset=utf-8"},
                                                  {".css", "text/css; charset=utf-8"},
                                                  {".json", "application/json"},
                                                  {".map", "application/json"},
                                                  {".svg", "image/svg+xml"},
                                                  {".png", "image/png"},
                                                  {".ico", "image/x-icon"},
                                                  {".webp", "image/webp"},
                                                  {".woff2", "font/woff2"},
                                                  {".txt", "text/plain; charset=utf-8"},
                                                  {".ts", "text/plain; charset=utf-8"},
                                                  {".webmanifest", "application/manifest+json"},
                                                  {".xml", "application/xml"}}};

std::string_view type_of(std::string_view path) {
  for (const auto& t : media_types)
    if (path.ends_with(t.suffix)) return t.type;
  return {};
}

/// What belongs to development is not served.
bool is_served(std::string_view path) {
  if (type_of(path).empty() || path.find(".test.") != path.npos || path.ends_with("/package.json") ||
      path == "package.json" || path.ends_with("package-lock.json"))
    return false;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto segment = path.substr(0, end);
    if (segment.empty() || segment.front() == '.' || segment == "node_modules" || segment == "test" ||
        segment == "tests")
      return false;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return true;
}

bool is_packed_already(std::string_view type) {
  return type.starts_with("image/") ? type != "image/svg+xml" : type.starts_with("font/");
}

}  // namespace

void add_page_headers(http_answer& a) {
  a.headers.emplace_back(
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
      "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'; require-trusted-types-for 'script'");
  a.headers.emplace_back("X-Content-Type-Options", "nosniff");
  a.headers.emplace_back("Referrer-Policy", "no-referrer");
  a.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  a.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
}

static_files::static_files(std::string directory) : directory_(std::move(directory)) {
  if (!directory_.empty()) {
    refresh();
    return;
  }
  for (const auto& f : embedded_web()) add(f.path, {reinterpret_cast<const char*>(f.bytes), f.size});
}

void static_files::add(std::string_view path, std::string body) {
  if (!is_served(path)) return;
  file f;
  f.type = type_of(path);
  char etag[32];
  std::snprintf(etag, sizeof etag, "\"%016llx\"",
                static_cast<unsigned long long>(engine::fnv1a_64(body) ^ body.size()));
  f.etag = etag;
  if (body.size() >= gzip_bytes_min && !is_packed_already(f.type)) f.packed = gzip(body, 9);
  f.body = std::move(body);
  files_['/' + std::string{path}] = std::move(f);
}

void static_files::refresh() {
  looked_at_ = std::chrono::steady_clock::now();
  std::vector<fs::path> found;
  std::string state;
  std::error_code error;
  for (fs::recursive_directory_iterator it{directory_, error}, end; !error && it != end; it.increment(error)) {
    if (it->path().filename() == "node_modules") it.disable_recursion_pending();
    std::error_code ignored;
    // Links are not followed: they may lead out.
    if (it->is_symlink(ignored) || !it->is_regular_file(ignored) || it->file_size(ignored) > file_bytes_max) continue;
    state += it->path().string() + ' ' + std::to_string(it->file_size(ignored)) + ' ' +
             std::to_string(it->last_write_time(ignored).time_since_epoch().count()) + '\n';
    found.push_back(it->path());
  }
  const auto now = engine::fnv1a_64(state);
  if (now == state_) return;
  state_ = now;
  files_.clear();
  for (const auto& path : found) {
    std::ifstream in{path, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    if (in) add(fs::relative(path, directory_, error).generic_string(), text.str());
  }
}

std::optional<http_answer> static_files::find(const http_request& request) {
  if (!directory_.empty() && std::chrono::steady_clock::now() - looked_at_ > look_interval) refresh();
  const auto& path = request.path;
  http_answer a;
  add_page_headers(a);
  if (path == "/" && !files_.contains("/index.html")) {
    if (!files_.contains("/chat/index.html")) return std::nullopt;
    a.status = 302;
    a.headers.emplace_back("Location", "/chat/");
    return a;
  }
  auto found = files_.find(path.ends_with('/') ? path + "index.html" : path);
  if (found == files_.end()) {
    if (!files_.contains(path + "/index.html")) return std::nullopt;
    a.status = 308;
    a.headers.emplace_back("Location", path + '/');
    return a;
  }
  const auto& f = found->second;
  a.headers.emplace_back("ETag", f.etag);
  a.headers.emplace_back("Cache-Control", "no-cache");
  a.headers.emplace_back("Vary", "Accept-Encoding");
  if (request.header("if-none-match").find(f.etag) != std::string_view::npos) {
    a.status = 304;
    return a;
  }
  a.content_type = f.type;
  if (!f.packed.empty() && accepts(request.header("accept-encoding"), "gzip")) {
    a.headers.emplace_back("Content-Encoding", "gzip");
    a.body = f.packed;
  } else {
    a.body = f.body;
  }
  return a;
}

}  // namespace rowcall::gateway::internal
