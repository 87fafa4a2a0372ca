#include "tools/loadgen/distributions.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "tools/loadgen/number.hpp"

namespace rowcall::tools::loadgen {

namespace {

using engine::errc;
using engine::fail;

/// log1p(x) / x and expm1(x) / x, also near 0, where exponent 1 would divide 0 by 0.
double log1p_over(double x) { return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x * (0.5 - x / 3); }
double expm1_over(double x) { return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x * 0.5 * (1 + x / 3); }

constexpr double size_bytes_max = 16.0 * 1024 * 1024;

}  // namespace

zipf::zipf(std::size_t n, double exponent) : n_(static_cast<double>(n)), exponent_(exponent) {
  ROWCALL_ASSERT(n >= 1 && exponent > 0);
  integral_first_ = integral(1.5) - 1;
  integral_last_ = integral(n_ + 0.5);
  sure_ = 2 - inverse_integral(integral(2.5) - h(2));
}

double zipf::h(double x) const { return std::exp(-exponent_ * std::log(x)); }

double zipf::integral(double x) const {
  const double log_x = std::log(x);
  return expm1_over((1 - exponent_) * log_x) * log_x;
}

double zipf::inverse_integral(double x) const {
  const double t = std::max(-1.0, x * (1 - exponent_));
  return std::exp(log1p_over(t) * x);
}

std::size_t zipf::operator()(random_source& random) const {
  while (true) {
    const double u = integral_last_ + random.unit() * (integral_first_ - integral_last_);
    const double x = inverse_integral(u);
    const double k = std::clamp(std::floor(x + 0.5), 1.0, n_);
    if (k - x <= sure_ || u >= integral(k + 0.5) - h(k)) return static_cast<std::size_t>(k);
  }
}

engine::result<key_chooser> key_chooser::parse(std::string_view text, std::size_t keys) {
  if (keys == 0) return fail(errc::invalid_argument, "at least one session is needed");
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const bool has_argument = colon != std::string_view::npos;
  const auto argument = has_argument ? to_number(text.substr(colon + 1)) : std::optional<double>{};
  if (name == "uniform" && !has_argument) return key_chooser(keys, uniform{});
  if (name == "sequential" && !has_argument) return key_chooser(keys, sequential{});
  if (name == "zipf" && (argument || !has_argument)) {
    const double exponent = argument.value_or(1.0);
    if (exponent > 0 && exponent <= 10) return key_chooser(keys, zipf(keys, exponent));
    return fail(errc::invalid_argument, "zipf: the exponent is above 0 and at most 10");
  }
  if (name == "hot" && (argument || !has_argument)) {
    const double share = argument.value_or(1.0);
    if (share >= 0 && share <= 1) return key_chooser(keys, hot{share});
    return fail(errc::invalid_argument, "hot: the share is between 0 and 1");
  }
  return fail(errc::invalid_argument,
              "keys '" + std::string(text) + "': one of uniform, sequential, zipf:EXPONENT, hot:SHARE is expected");
}

std::size_t key_chooser::next(random_source& random) {
  if (auto* z = std::get_if<zipf>(&shape_)) return (*z)(random) - 1;
  if (auto* s = std::get_if<sequential>(&shape_)) {
    const std::size_t key = s->next;
    s->next = key + 1 == keys_ ? 0 : key + 1;
    return key;
  }
  if (auto* h = std::get_if<hot>(&shape_)) {
    if (keys_ == 1 || random.unit() < h->share) return 0;
    return 1 + static_cast<std::size_t>(random.below(keys_ - 1));
  }
  return static_cast<std::size_t>(random.below(keys_));
}

engine::result<size_distribution> size_distribution::parse(std::string_view text) {
  const auto bad = [&] {
    return fail(errc::invalid_argument,
                "size '" + std::string(text) + "': BYTES, MIN..MAX, lognormal:MEDIAN,SIGMA or exponential:MEAN is expected");
  };
  size_distribution d;
  const auto take = [&](shape s, std::optional<double> a, std::optional<double> b) -> engine::result<size_distribution> {
    if (!a || !b || *a < 0 || *b < 0 || *a > size_bytes_max || *b > size_bytes_max) return bad();
    d.shape_ = s;
    d.a_ = *a;
    d.b_ = *b;
    if (s == shape::uniform && d.a_ > d.b_) return bad();
    return d;
  };
  const auto starts = [&](std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; };
  if (starts("lognormal:")) {
    const std::string_view rest = text.substr(10);
    const std::size_t comma = rest.find(',');
    if (comma == std::string_view::npos) return bad();
    return take(shape::lognormal, to_number(rest.substr(0, comma)), to_number(rest.substr(comma + 1)));
  }
  if (starts("exponential:")) return take(shape::exponential, to_number(text.substr(12)), 0.0);
  if (const std::size_t dots = text.find(".."); dots != std::string_view::npos)
    return take(shape::uniform, to_number(text.substr(0, dots)), to_number(text.substr(dots + 2)));
  return take(shape::fixed, to_number(text), 0.0);
}

std::size_t size_distribution::next(random_source& random) const {
  switch (shape_) {
    case shape::fixed: return static_cast<std::size_t>(a_);
    case shape::uniform: {
      const auto low = static_cast<std::size_t>(a_), high = static_cast<std::size_t>(b_);
      return low + static_cast<std::size_t>(random.below(high - low + 1));
    }
    case shape::lognormal: return static_cast<std::size_t>(std::min(16 * a_, a_ * std::exp(b_ * random.normal())));
    case shape::exponential: return static_cast<std::size_t>(std::min(16 * a_, a_ * random.exponential()));
  }
  return 0;
}

}  // namespace rowcall::tools::loadgen
