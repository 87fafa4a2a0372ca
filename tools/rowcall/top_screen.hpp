#pragma once

#include <string>
#include <vector>

#include "engine/ports.hpp"
#include "storage/postgres/stores.hpp"

/// What `rowcall top` shows. Pure.
namespace rowcall::tools {

struct top_view {
  engine::status_report status;
  std::vector<storage::postgres::busy_session> busiest;
  double pending_change_per_s = 0;  ///< since the last look
  std::string clock;                ///< "07:00:12"
  std::string error;                ///< why the rest is old; empty when it is not
};

struct screen_size {
  std::size_t rows = 24, columns = 80;
};

/// For a terminal: never more rows or columns than there are, no line feed at the end.
std::string top_screen(const top_view& v, screen_size size);
/// For a pipe: the same, whole.
std::string top_text(const top_view& v);
/// For scripts: the status's object, and the busiest sessions.
std::string top_json(const top_view& v);

}  // namespace rowcall::tools
