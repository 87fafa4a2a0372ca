#include "tests/fuzz/fuzz.hpp"
#include "tools/loadgen/scenario.hpp"

/// The load generator's scenario files.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rowcall;
  using namespace rowcall::tools::loadgen;
  const std::string_view input{reinterpret_cast<const char*>(bytes), size};
  scenario_options options;
  options.sessions = 20;
  const auto loaded = load_scenario(input, options);
  if (!loaded) return 0;
  auto& s = **loaded;
  FUZZ_EXPECT(s.initial_sessions() >= 1);
  if (s.initial_sessions() > 10'000) return 0;
  random_source random(1);
  for (const auto& phase : s.setup())
    for (const auto& c : phase) FUZZ_EXPECT(s.id_of(c.session).str().size() <= 64);
  for (int i = 0; i < 20; ++i) {
    const auto c = s.next(random);
    if (c.is_read()) continue;
    const auto valid = engine::validate({s.id_of(c.session), c.type, c.data, std::nullopt}, 1 << 24);
    FUZZ_EXPECT(engine::is_valid_type(c.type));
    (void)valid;  // a template may render what only the database can judge
  }
  (void)s.retired();
  return 0;
}
