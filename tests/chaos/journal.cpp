#include "tests/chaos/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace rowcall::chaos {

journal_writer::journal_writer(const std::string& path)
    : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (fd_ < 0) throw std::runtime_error("can not write " + path);
}

journal_writer::~journal_writer() { ::close(fd_); }

void journal_writer::write(const std::string& lines) {
  if (::write(fd_, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size()))
    throw std::runtime_error("the journal can not be written");
}

void journal_writer::submits(const std::vector<checker::submit>& batch) {
  first_ = next_;
  std::string lines;
  for (const auto& s : batch)
    lines += "S " + std::to_string(next_++) + " " + s.client + " " + s.session + " " + s.type + " " + s.data + "\n";
  write(lines);
}

void journal_writer::results(const std::vector<checker::submit>& batch) {
  std::string lines;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    lines += "R " + std::to_string(first_ + i);
    switch (batch[i].result) {
      case checker::outcome::acknowledged:
        lines += " a " + std::to_string(batch[i].seq) + "\n";
        break;
      case checker::outcome::refused:
        lines += " r\n";
        break;
      case checker::outcome::unknown:
        lines += " u\n";
        break;
    }
  }
  write(lines);
}

std::string journal_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_in_the_middle(const std::string& text) {
  const auto end = text.rfind('\n');
  if (end == std::string::npos) return false;
  const auto before = text.rfind('\n', end == 0 ? std::string::npos : end - 1);
  return text[end == 0 || before == std::string::npos ? 0 : before + 1] == 'S';
}

std::vector<checker::submit> read_journal(const std::string& text) {
  std::vector<checker::submit> submits;
  const auto whole = text.substr(0, text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  std::istringstream lines(whole);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    char what = 0;
    std::size_t number = 0;
    words >> what >> number;
    if (what == 'S') {
      checker::submit s;
      words >> s.client >> s.session >> s.type >> s.data;
      if (!words || number != submits.size()) throw std::runtime_error("a journal's line can not be read: " + line);
      submits.push_back(std::move(s));
      continue;
    }
    char result = 0;
    words >> result;
    if (what != 'R' || !words || number >= submits.size())
      throw std::runtime_error("a journal's line can not be read: " + line);
    auto& s = submits[number];
    s.result = result == 'a'   ? checker::outcome::acknowledged
               : result == 'r' ? checker::outcome::refused
                               : checker::outcome::unknown;
    if (result == 'a' && !(words >> s.seq)) throw std::runtime_error("a journal's line can not be read: " + line);
  }
  return submits;
}

}  // namespace rowcall::chaos
