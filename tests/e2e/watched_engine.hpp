#pragma once

#include <httplib.h>

#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/e2e/deployment.hpp"
#include "tests/support/eventually.hpp"

namespace rowcall::e2e {

inline const std::vector<std::string> with_metrics{"--metrics-listen", "127.0.0.1:0"};

/// An engine that is asked for its metrics and its readiness. Its port stands in its log.
class watched_engine {
 public:
  explicit watched_engine(const deployment& d, std::vector<std::string> arguments = with_metrics)
      : engine_(d, std::move(arguments)) {
    const std::regex address{"metrics on (http://127\\.0\\.0\\.1:[1-9][0-9]*)/metrics"};
    std::smatch found;
    if (!support::eventually(std::chrono::seconds{20},
                             [&] { return (log_ = engine_.log(), std::regex_search(log_, found, address)); }))
      throw std::runtime_error("the engine did not tell its address:\n" + log_);
    url_ = found[1];
  }
  struct answer {
    int status = 0;
    std::string body;
  };
  answer get(const std::string& path) const {
    const auto result = httplib::Client{url_}.Get(path);
    return result ? answer{result->status, result->body} : answer{};
  }
  /// The value of a metric without labels, or with these as they are written ("{…}"); -1 when it is not there.
  double value(const std::string& metric) const {
    std::istringstream lines{get("/metrics").body};
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(metric + " ")) return std::stod(line.substr(metric.size() + 1));
    return -1;
  }
  bool becomes(const std::string& path, int status, const std::string& text) const {
    return support::eventually(std::chrono::seconds{20}, [&] {
      const auto a = get(path);
      return a.status == status && a.body.find(text) != std::string::npos;
    });
  }
  engine_process& engine() { return engine_; }

 private:
  engine_process engine_;
  std::string url_, log_;
};

}  // namespace rowcall::e2e
