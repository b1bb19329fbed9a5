// Random programs for as long as one likes; and one of them, to look at.
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "model/generator.hpp"
#include "model/runner.hpp"

namespace {

constexpr const char* help =
    "Random programs of calls, run by the library in virtual time and by a model beside it.\n"
    "  --minutes N      for so long (may be a fraction), with a line of progress every 10 s\n"
    "  --operations N   until so many operations were carried out\n"
    "  --seed N         of the first program; the next ones count up (default: the time)\n"
    "  --show           with --seed: prints that program and what becomes of it\n"
    "Without --minutes and --operations it goes on until SIGINT or SIGTERM. The last line is the "
    "sum.\n";

struct options {
  std::optional<double> minutes;
  std::optional<std::int64_t> operations;
  std::optional<std::uint64_t> seed;
  bool show = false;
};

volatile std::sig_atomic_t stopped = 0;

template <class Number>
bool read(std::string_view text, std::optional<Number>& number) {
  Number read{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (error != std::errc() || end != text.data() + text.size() || !(read >= Number{})) return false;
  number = read;
  return true;
}

/// Gives the exit code if that is known already.
std::optional<int> read(int argc, char** argv, options& given) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(help, stdout);
      return 0;
    }
    if (name == "--show") {
      given.show = true;
      continue;
    }
    const std::string_view value = i + 1 < argc ? argv[++i] : "";
    const bool known = name == "--minutes"      ? read(value, given.minutes)
                       : name == "--operations" ? read(value, given.operations)
                       : name == "--seed"       ? read(value, given.seed)
                                                : false;
    if (!known) {
      std::fprintf(stderr, "model: cannot read '%s %s' (see --help)\n", argv[i - 1], argv[i]);
      return 2;
    }
  }
  return std::nullopt;
}

int show(std::uint64_t seed) {
  const auto commands = model::make_program(seed);
  std::printf("model::program program%s;\n", model::to_string(commands).c_str());
  const auto done = model::run(commands);
  std::printf("%lld operations, trace %016llx: %s\n", static_cast<long long>(done.operations),
              static_cast<unsigned long long>(done.trace),
              done.is_well() ? "as the model" : done.complaint.c_str());
  return done.is_well() ? 0 : 1;
}

void tell(const char* when, const model::sweep& done) {
  std::printf("model: %s: %lld operations, %lld ticks, seeds %llu..%llu\n", when,
              static_cast<long long>(done.operations), static_cast<long long>(done.ticks),
              static_cast<unsigned long long>(done.first_seed),
              static_cast<unsigned long long>(done.next_seed - (done.programs > 0 ? 1 : 0)));
  std::fflush(stdout);
}

int run(const options& given) {
  using clock = std::chrono::steady_clock;
  const auto begin = clock::now();
  const std::chrono::duration<double, std::ratio<60>> minutes(
      given.minutes.value_or(std::numeric_limits<double>::infinity()));
  const auto most = given.operations.value_or(std::numeric_limits<std::int64_t>::max());
  const auto first = given.seed.value_or(static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::microseconds(1)));
  auto told = begin;
  const auto done = model::run_seeds(first, [&](const model::sweep& so_far) {
    const auto now = clock::now();
    if (now - told >= std::chrono::seconds(10)) {
      told = now;
      tell("so far", so_far);
    }
    return stopped != 0 || so_far.operations >= most || now - begin >= minutes;
  });
  if (!done.failure.empty()) std::fprintf(stderr, "model: %s\n", done.failure.c_str());
  tell("done", done);
  return done.failure.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  options given;
  if (const auto code = read(argc, argv, given)) return *code;
  if (given.show && !given.seed) {
    std::fputs("model: --show needs --seed (see --help)\n", stderr);
    return 2;
  }
  std::signal(SIGTERM, [](int) { stopped = 1; });
  std::signal(SIGINT, [](int) { stopped = 1; });
  return given.show ? show(*given.seed) : run(given);
}
