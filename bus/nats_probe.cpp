#include "bus/nats_probe.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>

#include "bus/internal/nats_connection.hpp"
#include "engine/json.hpp"

namespace rowcall::bus {
namespace {

using engine::errc;
using engine::fail;
using engine::result;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t info_bytes_max = 64 * 1024;

/// The server's first line, `INFO {…}`: nats.c reads it and does not tell all of it.
result<std::string> read_info(const std::string& host, const std::string& port, milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0)
    return fail(errc::unavailable, "NATS: no address for " + host);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses{found, freeaddrinfo};
  std::string line;
  for (auto* a = addresses.get(); a != nullptr && line.empty(); a = a->ai_next) {
    const int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0) continue;
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS) {
      while (line.size() < info_bytes_max && line.find('\n') == std::string::npos) {
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        pollfd p{fd, POLLIN, 0};
        if (left <= 0 || poll(&p, 1, static_cast<int>(left)) <= 0) break;
        char bytes[4096];
        const auto count = read(fd, bytes, sizeof bytes);
        if (count <= 0) break;
        line.append(bytes, static_cast<std::size_t>(count));
      }
    }
    close(fd);
  }
  const auto end = line.find('\n');
  if (!line.starts_with("INFO ") || end == std::string::npos)
    return fail(errc::unavailable, host + ":" + port + " does not answer as a NATS server does");
  return line.substr(5, end - 5);
}

bool bool_at(const engine::json::object& o, std::string_view key) {
  bool value = false;
  return o.at_key(key).get(value) == simdjson::SUCCESS && value;
}

/// "nats://user:secret@host:port" as host and port.
std::pair<std::string, std::string> address_of(std::string url) {
  if (const auto scheme = url.find("://"); scheme != std::string::npos) url.erase(0, scheme + 3);
  if (const auto at = url.rfind('@'); at != std::string::npos) url.erase(0, at + 1);
  const auto colon = url.rfind(':');
  if (colon == std::string::npos) return {url, "4222"};
  auto host = url.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {host, url.substr(colon + 1)};
}

struct subscription_deleter {
  void operator()(natsSubscription* s) const { natsSubscription_Destroy(s); }
};
using subscription_ptr = std::unique_ptr<natsSubscription, subscription_deleter>;

/// Permissions are told behind the back: the error comes before the answer to the flush, and names the subject.
bool was_refused(natsConnection* nc, const std::string& verb, const std::string& subject, milliseconds timeout) {
  if (natsConnection_FlushTimeout(nc, timeout.count()) != NATS_OK) return true;
  const char* text = nullptr;
  natsConnection_GetLastError(nc, &text);
  return text != nullptr && std::string_view{text}.find(verb + " to \"" + subject + '"') != std::string_view::npos;
}

bool may_publish(natsConnection* nc, const std::string& subject, milliseconds timeout) {
  return natsConnection_Publish(nc, subject.c_str(), "", 0) == NATS_OK && !was_refused(nc, "Publish", subject, timeout);
}

bool may_subscribe(natsConnection* nc, const std::string& subject, milliseconds timeout, subscription_ptr& out) {
  natsSubscription* made = nullptr;
  if (natsConnection_SubscribeSync(&made, nc, subject.c_str()) != NATS_OK) return false;
  out.reset(made);
  return !was_refused(nc, "Subscription", subject, timeout);
}

std::string random_name() {
  char text[32];
  std::snprintf(text, sizeof text, "doctor-%08x", static_cast<unsigned>(std::random_device{}()));
  return text;
}

}  // namespace

std::int64_t notice_bytes_max(const nats_config& config) {
  return static_cast<std::int64_t>(config.inline_updates_bytes_max) * 2;
}

result<nats_facts> probe_nats(const nats_config& config) {
  auto opened = internal::nats_connection::open(config, internal::send_mode::asap, {[] {}, [] {}, [] {}});
  if (!opened) return tl::make_unexpected(opened.error());
  if (!*opened) return fail(errc::unavailable, "nobody answers");
  auto& connection = **opened;
  if (!connection.is_connected()) return fail(errc::unavailable, "nobody answers");
  auto* const nc = connection.handle();
  nats_facts facts;

  char url[1024] = {};
  if (natsConnection_GetConnectedUrl(nc, url, sizeof url) != NATS_OK)
    return fail(errc::unavailable, "the connection was lost");
  const auto [host, port] = address_of(url);
  facts.server = host + ":" + port;
  auto info = read_info(host, port, config.connect_timeout);
  if (!info) return tl::make_unexpected(info.error());
  engine::json::parser parser;
  const auto object = parser.parse_object(*info);
  if (!object) return fail(errc::unavailable, "NATS: its INFO can not be read: " + object.error().message);
  facts.version = engine::json::string_at(*object, "version").value_or("?");
  facts.payload_bytes_max = engine::json::int_at(*object, "max_payload").value_or(0);
  facts.requires_credentials = bool_at(*object, "auth_required");
  facts.requires_tls = bool_at(*object, "tls_required");
  facts.has_jetstream = bool_at(*object, "jetstream");

  std::array<std::int64_t, 5> trips_ns{};
  for (auto& trip : trips_ns)
    if (natsConnection_GetRTT(nc, &trip) != NATS_OK) return fail(errc::unavailable, "the connection was lost");
  std::nth_element(trips_ns.begin(), trips_ns.begin() + trips_ns.size() / 2, trips_ns.end());
  facts.round_trip = microseconds{trips_ns[trips_ns.size() / 2] / 1'000};

  const auto session = random_name();
  const auto wake = config.subject_prefix + ".wake." + session, updates = config.subject_prefix + ".updates." + session;
  subscription_ptr all_wakes, own_updates;
  facts.may_wake = may_publish(nc, wake, config.connect_timeout);
  facts.may_hear_wakes = may_subscribe(nc, config.subject_prefix + ".wake.*", config.connect_timeout, all_wakes);
  facts.may_hear_updates = may_subscribe(nc, updates, config.connect_timeout, own_updates);
  facts.may_notify = may_publish(nc, updates, config.connect_timeout);
  if (facts.may_hear_updates && facts.may_notify) {
    natsMsg* message = nullptr;
    facts.delivers = natsSubscription_NextMsg(&message, own_updates.get(), config.connect_timeout.count()) == NATS_OK;
    natsMsg_Destroy(message);
  }
  return facts;
}

}  // namespace rowcall::bus
