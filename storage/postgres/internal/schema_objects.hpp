#pragma once

#include <set>
#include <string_view>

#include "storage/postgres/inspector.hpp"

namespace rowcall::storage::postgres::internal {

/// Applies a migration's text to the set of what exists: CREATE, ADD CONSTRAINT and DROP of tables, views, indexes,
/// constraints, functions and triggers. Knows as much SQL as our migrations use; their test holds it to that.
class schema_objects {
 public:
  void apply(std::string_view sql);
  std::set<schema_object> all() const;

 private:
  struct owned {
    schema_object object;
    std::string table;  ///< it goes with this one; empty: stands alone
    friend auto operator<=>(const owned&, const owned&) = default;
  };
  void drop(const schema_object& object);
  std::set<owned> objects_;
};

}  // namespace rowcall::storage::postgres::internal
