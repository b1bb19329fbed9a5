// Samples a few numbers of its own process, and shows them to Prometheus: a group of timers, each
// with its own grid and jitter, and a page that never waits for any of them.
#include <unistd.h>

#include <async_timer/async_timer.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/command_line.hpp"
#include "support/http_server.hpp"
#include "support/output.hpp"
#include "support/run_until_stopped.hpp"

namespace {

using namespace support;

constexpr std::string_view help_text =
    "Samples numbers of its own process and serves them to Prometheus.\n"
    "\n"
    "GET /metrics  the samples, in the text format of Prometheus\n"
    "\n"
    "  --port N       the port on 127.0.0.1; 0 takes a free one [9187]\n"
    "  --period TIME  the time between two samples of a kind, such as 500ms, 2s, 1m [1s]\n"
    "  --for TIME     end by itself after this time\n";

struct options {
  std::uint16_t port = 9187;
  support::duration period = std::chrono::seconds(1);
  std::optional<support::duration> run_for;
};

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  long total = 0;
  long resident = 0;
  if (!(file >> total >> resident)) throw std::runtime_error("cannot read /proc/self/statm");
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<double>(std::distance(begin(files), end(files)));
}

double load_average() {
  std::ifstream file("/proc/loadavg");
  double load = 0;
  if (!(file >> load)) throw std::runtime_error("cannot read /proc/loadavg");
  return load;
}

class sampler {
 public:
  sampler(const asio::any_io_executor& executor, const options& given)
      : server_(executor, given.port, [this](std::string_view path) { return respond(path); }),
        timers_(executor, {.name = "samplers"}) {
    add("process_resident_memory_bytes", "Resident memory", given.period, resident_bytes);
    add("process_open_fds", "Open file descriptors", given.period, open_files);
    add("node_load1", "Load average of one minute", given.period, load_average);
  }

  //[run
  asio::awaitable<void> run() {
    auto body = [this]() -> asio::awaitable<void> {
      co_await timers_.wait({.hit_count = 1});  // no scrape sees a metric without a value
      server_.listen();
      say("serving on http://127.0.0.1:", server_.port(), "/metrics");
      co_await server_.accept();
    };
    co_await async_timer::scoped(timers_, body);
  }
  //]

 private:
  //[add
  struct metric {
    std::string help;
    async_timer::timer<double>& timer;  // a member of the group: it stays where it is
  };

  void add(const std::string& name, const std::string& help, support::duration period,
           double (*read)()) {
    auto sample = [name, read] {
      const double value = read();
      say(name, ' ', value);
      return value;
    };
    // On a grid, so that the rate is exact; with jitter, so that not all of them come at once.
    async_timer::timer_options ticking{
        .mode = async_timer::mode::fixed_rate, .jitter = 0.2, .name = name};
    auto& member = timers_.add(async_timer::timer{timers_.get_executor(), period, sample, ticking});
    metrics_.push_back({help, member});
  }
  //]

  answer respond(std::string_view path) const {
    if (path != "/metrics") return {http::status::not_found, "text/plain", "there is /metrics\n"};
    return {http::status::ok, "text/plain; version=0.0.4", page()};
  }

  //[page
  std::string page() const {
    std::ostringstream samples;
    std::ostringstream ticks("# TYPE sampler_ticks_total counter\n", std::ios::ate);
    std::ostringstream failures("# TYPE sampler_failures_total counter\n", std::ios::ate);
    samples.precision(17);
    for (const auto& [help, timer] : metrics_) {
      const auto now = timer.snapshot();  // never waits; all of one moment
      const std::string name = timer.name();
      samples << "# HELP " << name << ' ' << help << "\n# TYPE " << name << " gauge\n";
      if (now.last_result) samples << name << ' ' << *now.last_result << '\n';
      ticks << "sampler_ticks_total{sampler=\"" << name << "\"} " << now.hit_count << '\n';
      failures << "sampler_failures_total{sampler=\"" << name << "\"} " << timer.failure_count()
               << '\n';
    }
    return samples.str() + ticks.str() + failures.str();
  }
  //]

  http_server server_;
  async_timer::timer_group timers_;
  std::vector<metric> metrics_;
};

}  // namespace

int main(int argc, char** argv) {
  options given;
  return support::run_program(
      argc, argv, help_text,
      {{"--port", &given.port}, {"--period", &given.period}, {"--for", &given.run_for}}, [&] {
        asio::io_context context(1);
        sampler app(context.get_executor(), given);
        run_until_stopped(context, app.run(), given.run_for);
      });
}
