// The log seam: records with an event tag and fields go to one replaceable sink.
// It formats nothing for a record that nobody will see, and lets no exception of a sink escape.
#ifndef ASYNC_TIMER_BASE_LOG_HPP
#define ASYNC_TIMER_BASE_LOG_HPP

#include <array>
#include <async_timer/base/flood_gate.hpp>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace async_timer {

/// Is how bad an event is: a failure is an error, what is skipped, dropped or odd is a warning.
enum class log_level : unsigned char { warning, error };

/// Is one detail of an event, for machines.
struct log_field {
  std::string_view key;  ///< "timer_name", "maxsize", ...
  std::string value;     ///< as text, numbers and durations, too
};

/// Is one event; it lives only during the call of the sink, so copy what you keep.
struct log_record {
  log_level level;                    ///< how bad it is
  std::string_view logger;            ///< "async_timer.timer.<name>", "async_timer.pacemaker", ...
  std::string_view event;             ///< stable tag, "async_timer.target_exception", ...
  std::string_view message;           ///< one sentence for people
  std::span<const log_field> fields;  ///< in a fixed order for each event; none without memory
};

/// Takes the records of the process; see set_log_sink().
using log_sink = std::function<void(const log_record&)>;

namespace base {

/// Owns the sink of the process. No sink set means the default one, which writes to stderr.
class log_hub {
 public:
  static log_hub& instance() noexcept {
    // Never destroyed, since timers and threads at namespace scope may report at the very end, and
    // in place, since there may be no memory left: hence the union.
    static constinit union keeper {
      constexpr keeper() noexcept : hub() {}
      ~keeper() {}
      log_hub hub;
    } kept;
    return kept.hub;
  }

  std::shared_ptr<const log_sink> exchange(std::shared_ptr<const log_sink> sink) {
    const std::scoped_lock lock(mutex_);
    is_default_.store(sink == nullptr, std::memory_order_release);
    return std::exchange(sink_, std::move(sink));
  }

  /// Counts an event that the default sink will not print, for whoever would format it in vain.
  [[nodiscard]] bool holds_back(std::uint64_t key,
                                std::int64_t second = std::time(nullptr)) noexcept {
    if (!is_default_.load(std::memory_order_acquire)) {
      return false;
    }
    // A thread whose timers are all late says so with each tick: it counts by itself for a second.
    struct latest {
      std::uint64_t key = 0;
      std::int64_t second = 0;
      std::int64_t held_back = 0;
    };
    thread_local constinit latest mine{};
    if (mine.key == key && mine.second == second) {
      ++mine.held_back;
      return true;
    }
    gate_.add(mine.key, mine.held_back);
    mine = {key, second, 0};
    const auto held_back = gate_.pass(key, second);
    held_back_ = held_back.value_or(0);
    return !held_back;
  }

  /// Follows holds_back() on the same thread, if that let the event pass.
  void write(const log_record& record) {
    std::shared_ptr<const log_sink> sink;
    {
      const std::scoped_lock lock(mutex_);
      sink = sink_;  // shared, so that a swap never waits for a slow sink
    }
    if (sink == nullptr) {
      print(record, std::exchange(held_back_, 0));
    } else {
      (*sink)(record);
    }
  }

  /// Needs no memory of its own: want of memory is the last thing that may go unheard.
  static void print(const log_record& record, std::int64_t held_back) noexcept {
    const auto length = [](std::string_view text) { return static_cast<int>(text.size()); };
    const char* const level = record.level == log_level::error ? "ERROR" : "WARNING";
    std::array<char, 48> more{};
    if (held_back > 0) {
      std::snprintf(more.data(), more.size(), " (%lld more like it held back)",
                    static_cast<long long>(held_back));
    }
    std::fprintf(stderr, "%s %.*s: %.*s%s\n", level, length(record.logger), record.logger.data(),
                 length(record.message), record.message.data(), more.data());
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const log_sink> sink_;
  std::atomic<bool> is_default_{true};
  flood_gate gate_;
  static inline thread_local std::int64_t held_back_ = 0;
};

/// Passes a record to the sink; whatever the sink throws stays here (contract 24.4, D24).
inline void log(const log_record& record) noexcept {
  try {
    log_hub::instance().write(record);
  } catch (...) {
    std::fputs("ERROR async_timer: the log sink threw; a record is lost\n", stderr);
  }
}

/// Passes a record in words that are there already, where there was no memory for better ones.
inline void log_without_memory(log_level level, std::string_view logger, std::string_view event,
                               std::string_view message) noexcept {
  log({level, logger, event, message, {}});
}

/// Tells whether a record of this event and timer would not be printed now, and counts it if so.
inline bool log_holds_back(const event_tag& event, std::string_view timer) noexcept {
  return log_hub::instance().holds_back(flood_gate::key_of(event, timer));
}

}  // namespace base

/// Replaces the log sink of the process and returns the former one.
///
/// @param sink  is called from whatever thread reports, also from several at once, never with a
///              lock held; what it throws is dropped. An empty function stands for the default
///              sink, which prints warnings and errors to stderr, one line for each event, timer
///              and second, with the count of those held back since; none follows the last one.
/// @par Thread safety
///   Safe from any thread at any time; a record on its way may still reach the former sink.
inline log_sink set_log_sink(log_sink sink) {
  const auto former = base::log_hub::instance().exchange(
      sink ? std::make_shared<const log_sink>(std::move(sink)) : nullptr);
  return former ? *former : log_sink{};
}

}  // namespace async_timer

#endif  // ASYNC_TIMER_BASE_LOG_HPP
