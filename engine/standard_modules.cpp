#include "engine/chat/chat.hpp"
#include "engine/chat/user.hpp"
#include "engine/echo/echo.hpp"
#include "engine/module.hpp"

namespace rowcall::engine {

module_registry standard_modules() {
  module_registry modules;
  modules.add<chat::chat>();
  modules.add<chat::user>();
  modules.add<echo::echo>();
  return modules;
}

}  // namespace rowcall::engine
