#include "storage/postgres/internal/call.hpp"
#include "storage/postgres/internal/link.hpp"
#include "storage/postgres/internal/rows.hpp"
#include "storage/postgres/stores.hpp"

namespace rowcall::storage::postgres {
namespace {

using namespace engine;
using internal::call;

class chat_store final : public chat::chat_store {
 public:
  explicit chat_store(store_config config) : link_(std::move(config), {"chat_list", "member_of"}) {}

  result<std::vector<std::string>> memberships(const std::string& user,
                                               const std::vector<std::string>& chats) override {
    auto rows = exec(
        call("member_of").array(chats, [](const std::string& chat) -> const std::string& { return chat; }).text(user));
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<std::string> found;
    for (const auto& row : *rows) found.push_back(internal::string(row[0]));
    return found;
  }

  result<std::vector<chat::chat_row>> chats_after(const std::string& after, std::size_t limit,
                                                  const std::string& user) override {
    auto rows = exec(call("chat_list").text(after).number(static_cast<std::int64_t>(limit)).text(user));
    if (!rows) return tl::make_unexpected(rows.error());
    std::vector<chat::chat_row> chats;
    for (const auto& row : *rows)
      chats.push_back({internal::string(row[0]), internal::string(row[1]), internal::number(row[2]),
                       internal::text(row[3]) == "t"});
    return chats;
  }

 private:
  result<pqxx::result> exec(call& c) { return link_.exec_alone(c.str()); }
  internal::link link_;
};

}  // namespace

std::unique_ptr<chat::chat_store> make_chat_store(store_config config) {
  return std::make_unique<chat_store>(std::move(config));
}

}  // namespace rowcall::storage::postgres
