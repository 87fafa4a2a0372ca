#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

namespace rowcall::tools::loadgen {

/// Reproducible chance: the same seed gives the same numbers on every platform and standard library (which the
/// distributions of <random> do not promise). SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014. One thread at a time.
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}

  /// A stream of its own for one purpose: what one part draws does not shift what another one gets.
  static random_source named(std::uint64_t seed, std::string_view purpose) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char c : purpose) h = (h ^ c) * 0x100000001b3u;
    random_source mixed(seed ^ h);
    return random_source(mixed.next());
  }

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /// In [0, 1), 53 bits.
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// In [0, n); n > 0. The bias of the multiplication is below n / 2^64.
  std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }

  /// Exponential with mean 1.
  double exponential() { return -std::log1p(-unit()); }

  /// Normal with mean 0 and deviation 1 (Box and Muller 1958; the second value is thrown away).
  double normal() {
    const double radius = std::sqrt(2.0 * exponential());
    return radius * std::cos(6.283185307179586 * unit());
  }

 private:
  std::uint64_t state_;
};

}  // namespace rowcall::tools::loadgen
