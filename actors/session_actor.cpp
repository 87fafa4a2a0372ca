#include "actors/session_actor.hpp"

namespace rowcall::actors {
namespace {

engine::session::outcome stale(std::string load_error = {}) {
  engine::session::outcome o;
  o.kind = engine::session::outcome::status::stale;
  o.is_loaded = false;
  o.load_error = std::move(load_error);
  return o;
}

engine::session::outcome decide(engine::session& session, turn& t, std::uint32_t position) {
  thread_local engine::json::parser parser;
  auto& claim = t.claim.sessions[position];
  t.deciding.command.store(0, std::memory_order_relaxed);
  t.deciding.position.store(position, std::memory_order_relaxed);
  engine::session_cursor expected;
  if (claim.image) {
    if (auto loaded = session.load(*claim.image, parser); !loaded) return stale(loaded.error().message);
    expected = claim.image->cursor;
  } else if (t.work.sessions[position].cursor) {
    expected = *t.work.sessions[position].cursor;
  } else {
    return stale();
  }
  return session.decide(expected, claim.commands, parser, t.forced_error, t.work.isolated, &t.deciding.command);
}

void handle(session_state& state, const decide_request& request) {
  turn& t = *request.turn;
  try {
    t.outcomes[request.position] = decide(*state.session, t, request.position);
  } catch (const std::exception& e) {  // the engine's own code failed, not a module: nothing of it is written
    state.session->forget();
    t.outcomes[request.position] = stale(e.what());
  }
  if (t.undecided.fetch_sub(1, std::memory_order_acq_rel) == 1) t.on_decided(request.turn);
}

}  // namespace

session_actor::behavior_type session(session_actor::stateful_pointer<session_state> self, engine::session_id id,
                                     const engine::module* module,
                                     std::shared_ptr<const engine::session_config> config) {
  self->state.session = std::make_unique<engine::session>(std::move(id), *module, std::move(config));
  return {
      [self](const decide_request& request) { handle(self->state, request); },
      [self](forget_request) { self->state.session->forget(); },
  };
}

}  // namespace rowcall::actors
