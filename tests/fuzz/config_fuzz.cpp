#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "tests/fuzz/fuzz.hpp"
#include "tools/rowcall/options.hpp"

/// The configuration file: it is read or refused, never anything else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rowcall::tools;
  static const int file = memfd_create("rowcall.conf", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, bytes, size, 0) != static_cast<ssize_t>(size)) std::abort();
  lseek(file, 0, SEEK_SET);
  const char* const argv[] = {"rowcall", "--config", path.c_str(), "serve"};
  const auto read = read_command_line(4, argv);
  if (const auto* code = std::get_if<int>(&read)) {
    FUZZ_EXPECT(*code == 0 || *code == 2);
    return 0;
  }
  const auto& i = std::get<invocation>(read);
  const auto* serve = std::get_if<serve_options>(&i.action);
  FUZZ_EXPECT(serve != nullptr);
  FUZZ_EXPECT(serve->workers >= 1 && serve->workers <= 64);
  FUZZ_EXPECT(serve->sweep_interval.count() >= 0);
  FUZZ_EXPECT(i.global.data_bytes_max >= 2);
  return 0;
}
