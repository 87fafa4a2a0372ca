#include "engine/module.hpp"

#include <utility>

namespace rowcall::engine {

decision& decision::emit(std::string_view type, std::string data) {
  updates_.push_back({std::string{type}, std::move(data)});
  return *this;
}

decision& decision::send(session_id target, std::string_view type, std::string data) {
  sends_.push_back({std::move(target), std::string{type}, std::move(data)});
  return *this;
}

decision& decision::write(domain_row row) {
  rows_.emplace_back(updates_.size(), std::move(row));
  return *this;
}

decision decision::reject(std::string_view reason) {
  decision d;
  d.kind_ = outcome::rejected;
  d.reason_ = reason;
  return d;
}

decision decision::fail(std::string_view error) {
  decision d;
  d.kind_ = outcome::failed;
  d.reason_ = error;
  return d;
}

module_registry& module_registry::add(std::unique_ptr<module> m) {
  ROWCALL_ASSERT(m && is_valid_kind(m->kind()));
  ROWCALL_ASSERT(!find(m->kind()));
  modules_.push_back(std::move(m));
  return *this;
}

const module* module_registry::find(std::string_view kind) const {
  for (const auto& m : modules_)
    if (m->kind() == kind) return m.get();
  return nullptr;
}

std::vector<std::string> module_registry::kinds() const {
  std::vector<std::string> names;
  names.reserve(modules_.size());
  for (const auto& m : modules_) names.emplace_back(m->kind());
  return names;
}

}  // namespace rowcall::engine
