#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/result.hpp"
#include "engine/types.hpp"

/// What a user interface asks about chats besides their logs.
namespace rowcall::engine::chat {

struct chat_row {
  std::string chat_id, name;
  std::int64_t members = 0;
  bool is_member = false;  ///< the user who asks
};

/// One thread at a time. Blocking. All reads are of committed data.
class chat_store {
 public:
  virtual ~chat_store() = default;
  /// Of these chats, those that the user is a member of.
  virtual result<std::vector<std::string>> memberships(const std::string& user,
                                                       const std::vector<std::string>& chats) = 0;
  /// Chats by id, after one.
  virtual result<std::vector<chat_row>> chats_after(const std::string& after, std::size_t limit,
                                                    const std::string& user) = 0;
};

}  // namespace rowcall::engine::chat
