#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "engine/result.hpp"
#include "tools/loadgen/random_source.hpp"

/// Which session, and how large. Pure values.
namespace rowcall::tools::loadgen {

/// Numbers 1..n with P(k) proportional to k^-exponent, in constant time and memory for any n: rejection-inversion,
/// W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions",
/// ACM TOMACS 6(3), 1996.
class zipf {
 public:
  /// n >= 1, exponent > 0.
  zipf(std::size_t n, double exponent);
  std::size_t operator()(random_source& random) const;

 private:
  double h(double x) const;
  double integral(double x) const;
  double inverse_integral(double x) const;
  double n_, exponent_, integral_first_, integral_last_, sure_;
};

/// Chooses among n sessions: `uniform`, `sequential` (one after the other), `zipf:1.0` (by rank), or `hot:0.5` (session
/// 0 gets this share of the commands, the others the rest evenly).
class key_chooser {
 public:
  /// Errors: invalid_argument.
  static engine::result<key_chooser> parse(std::string_view text, std::size_t keys);
  std::size_t next(random_source& random);
  std::size_t keys() const { return keys_; }

 private:
  struct uniform {};
  struct sequential {
    std::size_t next = 0;
  };
  struct hot {
    double share;
  };
  using shape = std::variant<uniform, sequential, hot, zipf>;
  key_chooser(std::size_t keys, shape s) : keys_(keys), shape_(s) {}
  std::size_t keys_;
  shape shape_;
};

/// Bytes of a text: `80`, `50..500` (uniform), `lognormal:100,0.5` (median and sigma, at most 16 times the median),
/// or `exponential:100` (mean, at most 16 times the mean).
class size_distribution {
 public:
  /// Errors: invalid_argument.
  static engine::result<size_distribution> parse(std::string_view text);
  std::size_t next(random_source& random) const;

 private:
  enum class shape { fixed, uniform, lognormal, exponential };
  shape shape_ = shape::fixed;
  double a_ = 80, b_ = 0;
};

}  // namespace rowcall::tools::loadgen
