#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "client/receipts.hpp"
#include "client/submitter.hpp"
#include "engine/console.hpp"
#include "tools/connect/duration.hpp"
#include "tools/rowcall/actions.hpp"
#include "tools/rowcall/format.hpp"

namespace rowcall::tools {
namespace {

/// The data as given, from stdin or from a file. Reads one byte more than allowed at most, so that too much is seen
/// without being held.
engine::result<std::string> read_data(const std::string& argument, std::size_t bytes_max) {
  if (argument != "-" && !argument.starts_with('@')) return argument;
  std::ifstream file;
  if (argument != "-") {
    std::error_code unknown;
    if (std::filesystem::is_directory(argument.substr(1), unknown))
      return engine::fail(engine::errc::invalid_argument, argument.substr(1) + " is a directory");
    file.open(argument.substr(1), std::ios::binary);
    if (!file) return engine::fail(engine::errc::invalid_argument, "cannot read the file " + argument.substr(1));
  }
  std::istream& input = argument == "-" ? std::cin : file;
  std::string text(bytes_max + 2, '\0');  // + a line feed at the end + one byte too many
  input.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(input.gcount()));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

engine::result<engine::command_request> request_of(const global_options& global, const submit_options& options) {
  auto session = engine::session_id::parse(options.session);
  if (!session)
    return engine::fail(session.error().code,
                        "session '" + sanitised(options.session) + "': " + session.error().message);
  auto data = read_data(options.data, global.data_bytes_max);
  if (!data) return tl::make_unexpected(data.error());
  engine::command_request request{*session, options.type, std::move(*data), options.key};
  if (auto valid = engine::validate(request, global.data_bytes_max); !valid) return tl::make_unexpected(valid.error());
  return request;
}

void print_stored(const engine::session_id& session, const engine::submit_receipt& receipt, bool json) {
  const bool duplicate = receipt.kind == engine::submit_receipt::outcome::duplicate;
  if (json) {
    engine::json::writer w;
    w.begin_object().key("session").string(session.str()).key("command_seq").number(receipt.seq.value);
    w.key("outcome").string(duplicate ? "duplicate" : "stored").end_object();
    std::printf("%s\n", w.str().c_str());
  } else {
    std::printf("%s command %lld%s\n", session.str().c_str(), static_cast<long long>(receipt.seq.value),
                duplicate ? " (the key was there already: this is the first one)" : "");
  }
  std::fflush(stdout);
}

exit_code refuse(const engine::session_id& session, const engine::submit_receipt& receipt) {
  std::string message;
  auto code = exit_code::refused;
  if (receipt.kind == engine::submit_receipt::outcome::unknown_kind)
    message = "refused: no engine has ever served sessions of the kind '" + std::string{session.kind()} +
              "'. Start an engine that has this module (`rowcall serve`), or check the session id; `rowcall status` "
              "lists the "
              "kinds. Nothing was stored.";
  else {
    message = "busy: too many commands are pending; try again in " + describe_duration(receipt.retry_after) +
              ". Nothing was stored.";
    code = exit_code::busy;
  }
  std::fprintf(stderr, "rowcall: %s\n", message.c_str());
  return code;
}

/// What a signal tells while the receipt is waited for. Written before the handler is there.
char interrupted_text[200];
std::size_t interrupted_size = 0;

extern "C" void on_interrupt(int number) {
  if (write(STDERR_FILENO, interrupted_text, interrupted_size) < 0) {
  }  // there is nobody to tell
  std::signal(number, SIG_DFL);
  std::raise(number);
}

/// Ctrl-C during the wait ends the process as ever, and says what has become of the command.
void tell_when_interrupted(const engine::session_id& session, engine::command_seq seq) {
  const auto size = std::snprintf(interrupted_text, sizeof interrupted_text,
                                  "rowcall: interrupted; %s command %lld is stored and stays valid\n",
                                  session.str().c_str(), static_cast<long long>(seq.value));
  interrupted_size = std::min(static_cast<std::size_t>(std::max(size, 0)), sizeof interrupted_text - 1);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(number, on_interrupt) == SIG_IGN) std::signal(number, SIG_IGN);  // `nohup`
}

/// Why there is no receipt yet, as far as it can be told: a submitter may not be allowed to read it.
std::string why_no_receipt(const global_options& global, const engine::session_id& session, engine::command_seq seq) {
  auto config = store_config_of(global.connection, "submit");
  config.statement_timeout = milliseconds{2'000};
  const auto head = storage::postgres::make_console_store(config)->head_of(session);
  if (head && head->retry) {
    const auto& retry = *head->retry;
    std::string text =
        retry.command == seq ? "it" : "it waits for command " + std::to_string(retry.command.value) + ", which";
    text += " has failed " + format_count(retry.attempts, "time");
    if (retry.wait > milliseconds{0}) text += " and is tried again in " + describe_duration(retry.wait);
    return text + ": " + sanitised(retry.last_error);
  }
  const auto status = storage::postgres::make_admin_store(config)->status();
  if (status && status->nodes.empty()) return "no engine is running: start one with `rowcall serve`";
  return "see `rowcall status`";
}

exit_code print_receipt(const engine::session_id& session, const engine::receipt& receipt, bool json) {
  auto code = exit_code::ok;
  for (const auto& update : receipt.updates) {
    std::printf("%s\n", format_update(session, update, json).c_str());
    if (update.type == engine::update_type::command_rejected || update.type == engine::update_type::command_failed)
      code = exit_code::refused;
  }
  return code;
}

}  // namespace

exit_code run(const global_options& global, const submit_options& options) {
  auto request = request_of(global, options);
  if (!request) return fail_with(request.error());
  const auto session = request->session;
  if (auto checked = check_database(global.connection); !checked) return fail_with(checked.error());
  auto bus = open_bus(global.connection, "submit");
  if (!bus) return fail_with(bus.error());
  const bool connected = wait_connected(**bus, std::min(global.connection.connect_timeout, milliseconds{2'000}));

  const auto outcome = [&] {
    client::submitter_config config;
    config.data_bytes_max = global.data_bytes_max;
    std::vector<std::unique_ptr<engine::command_store>> stores;
    stores.push_back(storage::postgres::make_command_store(store_config_of(global.connection, "submit")));
    client::submitter submitter{std::move(stores), **bus, config};
    return submitter.submit(std::move(*request));
  }();
  if (!outcome) {
    auto error = outcome.error();
    if (error.code == engine::errc::commit_in_doubt)
      error.message +=
          "\nThe connection was lost during COMMIT: the command may be stored. With --key a repetition is safe.";
    return fail_with(error);
  }
  if (outcome->kind == engine::submit_receipt::outcome::unknown_kind ||
      outcome->kind == engine::submit_receipt::outcome::busy)
    return refuse(session, *outcome);
  // The process is about to end: the wake must be out. A lost one only costs time.
  if (!connected || !(*bus)->flush(milliseconds{1'000}))
    std::fprintf(stderr,
                 "rowcall: NATS at %s does not answer; the command is stored, and the engine's sweep will find it.\n",
                 without_password(global.connection.nats_url).c_str());
  if (options.wait) tell_when_interrupted(session, outcome->seq);
  print_stored(session, *outcome, global.json);
  if (!options.wait) return exit_code::ok;

  const auto updates = storage::postgres::make_update_store(store_config_of(global.connection, "submit"));
  auto receipt = client::wait_receipt(*updates, **bus, session, outcome->seq, *options.wait);
  if (!receipt) {
    auto error = receipt.error();
    if (error.code == engine::errc::timed_out)
      error.message = "no receipt after " + describe_duration(*options.wait) +
                      ". The command is stored and stays valid; " + why_no_receipt(global, session, outcome->seq);
    return fail_with(error);
  }
  return print_receipt(session, *receipt, global.json);
}

}  // namespace rowcall::tools
