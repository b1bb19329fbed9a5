// What the examples have in common as programs: `--name value` options, help, exit codes.
#ifndef SUPPORT_COMMAND_LINE_HPP
#define SUPPORT_COMMAND_LINE_HPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <iostream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

namespace support {

using duration = std::chrono::nanoseconds;

/// Says in one sentence what is wrong with an option.
struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Is an option and where its value goes: a text, a port, a count, or a time.
struct option {
  std::string_view name;
  std::variant<std::string*, std::uint16_t*, int*, duration*, std::optional<duration>*> value;
};

namespace detail {

[[noreturn]] inline void refuse(std::string_view name, const char* wanted, std::string_view text) {
  throw usage_error(std::string(name) + " must be " + wanted + ", but is '" + std::string(text) +
                    "'");
}

inline duration parse_duration(std::string_view name, std::string_view text) {
  constexpr double shortest = 1e6;             // 1 ms
  constexpr double longest = 24 * 3600 * 1e9;  // a day

  // The first character keeps out what from_chars would take as a number as well: -1, inf, nan.
  double number = 0;
  const bool plain = !text.empty() && text.front() >= '0' && text.front() <= '9';
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const double factor = unit == "ms" ? 1e6 : unit == "s" ? 1e9 : unit == "m" ? 60e9 : 0;
  const double wanted = number * factor;
  if (!plain || error != std::errc() || wanted < shortest || wanted > longest) {
    refuse(name, "a time from 1ms to 1440m, such as 500ms, 2s or 1m", text);
  }
  return duration(static_cast<std::int64_t>(wanted));
}

template <class Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

struct reader {
  std::string_view name;
  std::string_view text;

  void operator()(std::string* value) const { *value = text; }
  void operator()(duration* value) const { *value = parse_duration(name, text); }
  void operator()(std::optional<duration>* value) const { *value = parse_duration(name, text); }
  void operator()(std::uint16_t* value) const {
    if (!parse_number(text, *value)) {
      refuse(name, "a number from 0 to 65535", text);
    }
  }
  void operator()(int* value) const {
    if (!parse_number(text, *value) || *value < 1 || *value > 1'000'000) {
      refuse(name, "a number from 1 to 1000000", text);
    }
  }
};

/// Returns false if the help is asked for.
inline bool parse_options(std::span<char*> arguments, std::span<const option> known) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") {
      return false;
    }
    const auto found = std::find_if(known.begin(), known.end(),
                                    [name](const option& one) { return one.name == name; });
    if (found == known.end()) {
      throw usage_error("unknown option '" + std::string(name) + "', see --help");
    }
    if (++i == arguments.size() || *arguments[i] == '\0') {
      throw usage_error(std::string(name) + " needs a value, see --help");
    }
    std::visit(reader{name, arguments[i]}, found->value);
  }
  return true;
}

inline int complain(std::string_view path, const std::exception& error, int code) {
  std::cerr << path.substr(path.rfind('/') + 1) << ": " << error.what() << '\n';
  return code;
}

}  // namespace detail

/// Reads the options and runs the program; what goes wrong becomes one line and an exit code.
template <class Program>
int run_program(int argc, char** argv, std::string_view help, std::initializer_list<option> options,
                Program program) {
  try {
    if (!detail::parse_options({argv + 1, argv + argc}, {options.begin(), options.size()})) {
      std::cout
          << help << "  --help         this page\n\n"
          << "Ends on SIGINT and SIGTERM. Exit code: 0 after a clean end, 1 after an error, 2 "
             "for a bad\noption.\n";
      return 0;
    }
    program();
    std::cout << "bye" << std::endl;
    return 0;
  } catch (const usage_error& error) {
    return detail::complain(argv[0], error, 2);
  } catch (const std::exception& error) {
    return detail::complain(argv[0], error, 1);
  }
}

}  // namespace support

#endif  // SUPPORT_COMMAND_LINE_HPP
