// The log seam: records with an event tag and fields go to one replaceable sink.
// It formats nothing for a record that nobody asked for, and it lets no exception of a sink escape.
#ifndef ASYNC_TIMER_BASE_LOG_HPP
#define ASYNC_TIMER_BASE_LOG_HPP

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace async_timer {

enum class log_level : unsigned char { warning, error };

struct log_field {
  std::string_view key;
  std::string value;
};

/// Is one event; it lives only during the call of the sink, so copy what you keep.
struct log_record {
  log_level level;
  std::string_view logger;   ///< "async_timer.timer.<name>", "async_timer.pacemaker", ...
  std::string_view event;    ///< stable tag, "async_timer.target_exception", ...
  std::string_view message;  ///< one sentence for people
  std::span<const log_field> fields;
};

using log_sink = std::function<void(const log_record&)>;

namespace base {

/// Prints at most one line for each logger, event and second, with the count of what it left out.
class stderr_sink {
 public:
  void operator()(const log_record& record) {
    const std::time_t second = std::time(nullptr);
    std::int64_t suppressed = 0;
    {
      const std::scoped_lock lock(mutex_);
      if (seen_.size() > most_keys) {
        seen_.clear();
      }
      auto& last = seen_[{std::string(record.logger), std::string(record.event)}];
      if (last.second == second) {
        ++last.suppressed;
        return;
      }
      suppressed = last.suppressed;
      last = {second, 0};
    }
    print(record, suppressed);
  }

 private:
  struct line {
    std::time_t second = -1;
    std::int64_t suppressed = 0;
  };

  static void print(const log_record& record, std::int64_t suppressed) {
    std::string text(record.level == log_level::error ? "ERROR " : "WARNING ");
    text.append(record.logger).append(": ").append(record.message);
    if (suppressed > 0) {
      text.append(" (").append(std::to_string(suppressed)).append(" more like it suppressed)");
    }
    text.push_back('\n');
    std::fputs(text.c_str(), stderr);
  }

  // A program with more noisy timers than this loses only the suppression, never a line.
  static constexpr std::size_t most_keys = 4096;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, line> seen_;
};

/// Owns the sink of the process; the pointer is shared so that a swap never waits for a slow sink.
class log_hub {
 public:
  static log_hub& instance() {
    static log_hub hub;
    return hub;
  }

  std::shared_ptr<const log_sink> exchange(std::shared_ptr<const log_sink> sink) {
    const std::scoped_lock lock(mutex_);
    return std::exchange(sink_, std::move(sink));
  }

  [[nodiscard]] std::shared_ptr<const log_sink> current() const {
    const std::scoped_lock lock(mutex_);
    return sink_;
  }

  static std::shared_ptr<const log_sink> default_sink() {
    auto shared = std::make_shared<stderr_sink>();
    return std::make_shared<const log_sink>(
        [shared](const log_record& record) { (*shared)(record); });
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const log_sink> sink_ = default_sink();
};

/// Passes a record to the sink; whatever the sink throws stays here (contract 24.4, D24).
inline void log(const log_record& record) noexcept {
  try {
    if (const auto sink = log_hub::instance().current(); sink && *sink) {
      (*sink)(record);
    }
  } catch (...) {
    std::fputs("ERROR async_timer: the log sink threw; a record is lost\n", stderr);
  }
}

}  // namespace base

/// Replaces the log sink of the process and returns the former one.
///
/// @param sink  is called from whatever thread reports, also from several at once, never with a
///              lock held; what it throws is dropped. An empty function silences the library.
/// @par Thread safety
///   Safe from any thread at any time; a record on its way may still reach the former sink.
inline log_sink set_log_sink(log_sink sink) {
  const auto former =
      base::log_hub::instance().exchange(std::make_shared<const log_sink>(std::move(sink)));
  return former ? *former : log_sink{};
}

/// Brings back the default sink, which prints warnings and errors to stderr.
inline void reset_log_sink() { base::log_hub::instance().exchange(base::log_hub::default_sink()); }

}  // namespace async_timer

#endif  // ASYNC_TIMER_BASE_LOG_HPP
