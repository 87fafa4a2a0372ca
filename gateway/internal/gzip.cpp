#include "gateway/internal/gzip.hpp"

#include <zlib.h>

#include "engine/result.hpp"

namespace rowcall::gateway::internal {

std::string gzip(std::string_view text, int level) {
  z_stream z{};
  constexpr int gzip_window = 15 + 16;
  ROWCALL_ASSERT(deflateInit2(&z, level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, static_cast<uLong>(text.size())), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int ended = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  ROWCALL_ASSERT(ended == Z_STREAM_END);
  return out;
}

}  // namespace rowcall::gateway::internal
