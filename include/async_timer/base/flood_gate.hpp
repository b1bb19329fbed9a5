// Lets one line for each event, timer and second through, and counts the others, with no lock and
// no memory of its own: a million late timers must not be slowed down by saying so.
#ifndef ASYNC_TIMER_BASE_FLOOD_GATE_HPP
#define ASYNC_TIMER_BASE_FLOOD_GATE_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace async_timer::base {

/// Names an event of the log; the compiler hashes the name (FNV-1a, by Fowler, Noll and Vo).
struct event_tag {
  consteval explicit event_tag(std::string_view event) noexcept : name(event) {
    for (const char c : event) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
  }
  // NOLINTNEXTLINE(google-explicit-constructor): it is a name, whose hash is known
  constexpr operator std::string_view() const noexcept { return name; }

  std::string_view name;
  std::uint64_t hash = 14695981039346656037U;
};

class flood_gate {
 public:
  /// Identifies an event of a timer; unnamed timers are one for this purpose.
  static std::uint64_t key_of(const event_tag& event, std::string_view timer) noexcept {
    return event.hash * 31 + (timer.empty() ? 0 : std::hash<std::string_view>()(timer));
  }

  /// Asks to print.
  ///
  /// @return how many were held back since the last line; empty: hold this one back, too.
  std::optional<std::int64_t> pass(std::uint64_t key, std::int64_t second) noexcept {
    place& at = places_[key % places_.size()];
    const auto mark = (key << 32) | static_cast<std::uint32_t>(second);
    // Two events that share a place push each other out: more lines then, never fewer.
    if (at.mark.load(std::memory_order_relaxed) == mark ||
        at.mark.exchange(mark, std::memory_order_relaxed) == mark) {
      at.held_back.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return at.held_back.exchange(0, std::memory_order_relaxed);
  }

  /// Counts what a caller held back by itself.
  void add(std::uint64_t key, std::int64_t held_back) noexcept {
    places_[key % places_.size()].held_back.fetch_add(held_back, std::memory_order_relaxed);
  }

 private:
  struct place {
    std::atomic<std::uint64_t> mark{0};
    std::atomic<std::int64_t> held_back{0};
  };
  std::array<place, 251> places_{};
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_FLOOD_GATE_HPP
