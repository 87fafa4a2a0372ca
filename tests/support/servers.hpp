#pragma once

#include <string>

namespace rowcall::support {

/// A value of the file that ROWCALL_TEST_SERVERS names. Throws std::runtime_error that says what to run when the
/// variable, the file or the key is missing: a test that needs a server fails, it never skips.
std::string shared_server_value(const std::string& key);

/// The same, but empty when it is not known: for what merely makes a test faster.
std::string shared_server_value_or_empty(const std::string& key);

/// `nats://127.0.0.1:<port>` of the shared nats-server. Other tests use it at the same time: keep to session ids of your own.
std::string shared_nats_url();

/// A session id's name part that no other test of this run has: "<process>x<random>x<count>".
std::string unique_name();

}  // namespace rowcall::support
