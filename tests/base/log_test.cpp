// The log seam: the sink of the process, and the default one that writes to stderr.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <async_timer/base/log.hpp>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/capture.hpp"

using async_timer::log_level;
using async_timer::log_record;
using async_timer::log_sink;
using async_timer::base::event_tag;
using test::stderr_of;

namespace {

log_record record(std::string_view logger, std::string_view event, std::string_view message,
                  log_level level = log_level::warning) {
  return {level, logger, event, message, {}};
}

/// Brings the default sink back, whatever a test does.
struct default_sink_afterwards {
  ~default_sink_afterwards() { async_timer::set_log_sink({}); }
};

std::ptrdiff_t lines(std::string_view text) { return std::ranges::count(text, '\n'); }

}  // namespace

TEST_CASE("log: a record reaches the sink whole, and only during the call") {
  const default_sink_afterwards restore;
  int calls = 0;
  async_timer::set_log_sink([&](const log_record& got) {
    ++calls;
    CHECK(got.level == log_level::error);
    CHECK(got.logger == "async_timer.timer.cache");
    CHECK(got.event == "async_timer.target_exception");
    CHECK(got.message == "it broke");
    REQUIRE(got.fields.size() == 2);
    CHECK(got.fields[0].key == "timer_name");
    CHECK(got.fields[0].value == "cache");
    CHECK(got.fields[1].key == "hit_count");
    CHECK(got.fields[1].value == "7");
  });
  const std::array<async_timer::log_field, 2> fields{{{"timer_name", "cache"}, {"hit_count", "7"}}};
  async_timer::base::log({log_level::error, "async_timer.timer.cache",
                          "async_timer.target_exception", "it broke", fields});
  CHECK(calls == 1);
}

TEST_CASE("log: set_log_sink gives the former sink back") {
  const default_sink_afterwards restore;
  int first = 0, second = 0;
  async_timer::set_log_sink([&](const log_record&) { ++first; });
  const log_sink former = async_timer::set_log_sink([&](const log_record&) { ++second; });
  async_timer::base::log(record("l", "e", "m"));
  CHECK(first == 0);
  CHECK(second == 1);
  async_timer::set_log_sink(former);
  async_timer::base::log(record("l", "e", "m"));
  CHECK(first == 1);
  CHECK(second == 1);
}

TEST_CASE("log: an empty function stands for the default sink, also as the former one") {
  const default_sink_afterwards restore;
  const auto to_stderr = [] {
    return stderr_of([] { async_timer::base::log(record("l", "e", "m")); });
  };
  const log_sink standard = async_timer::set_log_sink([](const log_record&) {});
  CHECK_FALSE(static_cast<bool>(standard));
  CHECK(to_stderr() == "");
  async_timer::set_log_sink(standard);
  CHECK(to_stderr() == "WARNING l: m\n");
}

TEST_CASE("24.4, D24 log: what a sink throws is dropped, and one line tells so") {
  const default_sink_afterwards restore;
  for (const bool standard : {true, false}) {
    async_timer::set_log_sink([standard](const log_record&) {
      if (standard) throw std::runtime_error("disk full");
      throw 42;
    });
    const auto text = stderr_of([] { async_timer::base::log(record("l", "e", "m")); });
    CHECK(lines(text) == 1);
    CHECK(text.find("sink threw") != std::string::npos);
  }
  int calls = 0;
  async_timer::set_log_sink([&](const log_record&) { ++calls; });
  async_timer::base::log(record("l", "e", "m"));
  CHECK(calls == 1);
}

TEST_CASE("log: a sink that replaces itself lives until it returns") {
  const default_sink_afterwards restore;
  std::vector<std::string> seen;
  async_timer::set_log_sink(
      [&seen, name = std::string("a rather long name, kept on the heap")](const log_record&) {
        async_timer::set_log_sink([&](const log_record&) { seen.emplace_back("next"); });
        seen.push_back(name);
      });
  async_timer::base::log(record("l", "e", "m"));
  async_timer::base::log(record("l", "e", "m"));
  CHECK(seen == std::vector<std::string>{"a rather long name, kept on the heap", "next"});
}

TEST_CASE("log: a sink may log, and the sink that was replaced is destroyed") {
  const default_sink_afterwards restore;
  auto held = std::make_shared<int>(0);
  async_timer::set_log_sink([held](const log_record& got) {
    if (++*held < 3) async_timer::base::log(got);
  });
  async_timer::base::log(record("l", "e", "m"));
  CHECK(*held == 3);
  CHECK(held.use_count() == 2);
  async_timer::set_log_sink({});
  CHECK(held.use_count() == 1);
}

TEST_CASE("log: the default sink writes a line with level, logger and message") {
  async_timer::set_log_sink({});
  CHECK(stderr_of([] {
          async_timer::base::log(record("async_timer.pacemaker", "skip", "fell behind"));
          async_timer::base::log(
              record("async_timer.timer.db", "fail", "no connection", log_level::error));
        }) ==
        "WARNING async_timer.pacemaker: fell behind\n"
        "ERROR async_timer.timer.db: no connection\n");
}

TEST_CASE("log: the default sink asks to hold back after one event of a timer in a second") {
  async_timer::set_log_sink({});
  int passed = 0;
  const auto text = test::stderr_within_a_second([&](const std::string& name) {
    passed = 0;
    for (int i = 0; i < 100; ++i) {
      if (!async_timer::base::log_holds_back(event_tag("skip"), name)) {
        ++passed;
        async_timer::base::log(record("l", "skip", "m"));
      }
    }
  });
  CHECK(passed == 1);
  CHECK(text.starts_with("WARNING l: m"));
  CHECK(lines(text) == 1);
}

TEST_CASE("log: a sink of the user is asked for nothing to be held back") {
  const default_sink_afterwards restore;
  async_timer::set_log_sink([](const log_record&) {});
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(async_timer::base::log_holds_back(event_tag("skip"), "t"));
}
