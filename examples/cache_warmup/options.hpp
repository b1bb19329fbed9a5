// The command line of the demo.
#ifndef CACHE_WARMUP_OPTIONS_HPP
#define CACHE_WARMUP_OPTIONS_HPP

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace cache_warmup {

inline constexpr std::string_view help_text =
    "Serves the rows of an SQLite database over HTTP, from a cache that a timer refreshes.\n"
    "\n"
    "  --db FILE      the database; made with sample data if there is none [cache_warmup.db]\n"
    "                 :memory: keeps it in memory\n"
    "  --port N       the port on 127.0.0.1; 0 takes a free one [8080]\n"
    "  --delay TIME   the time between two refreshes, such as 500ms, 2s, 1m [5s]\n"
    "  --for TIME     end by itself after this time\n"
    "  --help         this page\n"
    "\n"
    "GET /         the cached rows and their age, as JSON\n"
    "GET /healthz  200 while the refreshes succeed, else 503\n"
    "\n"
    "Ends on SIGINT and SIGTERM. Exit code: 0 after a clean end, 1 after an error, 2 for a bad\n"
    "option.\n";

struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct options {
  std::string database = "cache_warmup.db";
  std::uint16_t port = 8080;
  std::chrono::nanoseconds delay = std::chrono::seconds(5);
  std::optional<std::chrono::nanoseconds> run_for;
  bool help = false;
};

inline std::uint16_t parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw usage_error("--port must be a number from 0 to 65535, but is '" + std::string(text) +
                      "'");
  }
  return port;
}

inline std::chrono::nanoseconds parse_duration(std::string_view option, std::string_view text) {
  constexpr auto shortest = std::chrono::milliseconds(1);
  constexpr auto longest = std::chrono::hours(24);

  // The first character keeps out what from_chars would take as a number as well: -1, inf, nan.
  double number = 0;
  const bool plain = !text.empty() && text.front() >= '0' && text.front() <= '9';
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const double factor = unit == "ms" ? 1e6 : unit == "s" ? 1e9 : unit == "m" ? 60e9 : 0;
  const double wanted = number * factor;
  if (!plain || error != std::errc() || factor == 0 ||
      wanted < static_cast<double>(std::chrono::nanoseconds(shortest).count()) ||
      wanted > static_cast<double>(std::chrono::nanoseconds(longest).count())) {
    throw usage_error(std::string(option) +
                      " must be a time from 1ms to 1440m, such as 500ms, 2s or 1m, but is '" +
                      std::string(text) + "'");
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(wanted));
}

/// Reads the arguments after the program's name; throws usage_error with one sentence.
inline options parse_options(std::span<char*> arguments) {
  options given;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") {
      given.help = true;
      return given;
    }
    if (name != "--db" && name != "--port" && name != "--delay" && name != "--for") {
      throw usage_error("unknown option '" + std::string(name) + "', see --help");
    }
    if (++i == arguments.size() || *arguments[i] == '\0') {
      throw usage_error(std::string(name) + " needs a value, see --help");
    }
    const std::string_view value = arguments[i];
    if (name == "--db") {
      given.database = value;
    } else if (name == "--port") {
      given.port = parse_port(value);
    } else if (name == "--delay") {
      given.delay = parse_duration(name, value);
    } else {
      given.run_for = parse_duration(name, value);
    }
  }
  return given;
}

}  // namespace cache_warmup

#endif  // CACHE_WARMUP_OPTIONS_HPP
