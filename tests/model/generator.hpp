// Makes programs: from a seed, or from any bytes that a fuzzer comes up with.
#ifndef ASYNC_TIMER_TESTS_MODEL_GENERATOR_HPP
#define ASYNC_TIMER_TESTS_MODEL_GENERATOR_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "model/command.hpp"

namespace model {

/// Draws numbers, the same again from the same seed (splitmix64).
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : state_(seed) { length_ = 8 + below(56); }
  std::int64_t below(std::int64_t n) {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::int64_t>((z ^ (z >> 31)) % static_cast<std::uint64_t>(n));
  }
  /// Tells whether the program is to go on.
  bool more() { return length_-- > 0; }

 private:
  std::uint64_t state_;
  std::int64_t length_ = 0;
};

/// Takes numbers from bytes, one or two each; zeros after the end.
class byte_source {
 public:
  explicit byte_source(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::int64_t below(std::int64_t n) {
    std::int64_t number = next();
    if (n > 256) number = number * 256 + next();
    return number % n;
  }
  [[nodiscard]] bool more() const { return at_ < bytes_.size(); }

 private:
  std::int64_t next() { return at_ < bytes_.size() ? bytes_[at_++] : 0; }
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

template <class Source>
class generator {
 public:
  explicit generator(Source& source) : source_(&source) {}

  program make_program() {
    program p;
    const auto timers = 1 + below(3);
    for (int place = 0; place < timers; ++place) {
      p.push_back(make(place));
      if (one_in(4)) p.push_back(subscribe(place));
      if (!one_in(4)) p.push_back({verb::start, place});
    }
    while (source_->more() && p.size() < longest_program) {
      p.push_back(any());
      if (one_in(5)) host(p.back());
    }
    if (one_in(3)) p.push_back({verb::finish, 0, 1 + below(3)});
    return p;
  }

 private:
  static constexpr std::size_t longest_program = 100;
  static constexpr nanos unit = 1'000'000;

  std::int64_t below(std::int64_t n) { return source_->below(n); }
  bool one_in(std::int64_t n) { return below(n) == n - 1; }
  int place() { return static_cast<int>(std::min<std::int64_t>(below(5), below(timer_places))); }

  nanos duration() {
    static constexpr std::array<nanos, 8> usual{1, 2, 3, 5, 5, 10, 10, 20};
    return usual[static_cast<std::size_t>(below(8))] * unit;
  }
  /// Also what is rare: zero, odd, far too long, and what is no duration at all.
  nanos any_duration() {
    static constexpr std::array<nanos, 11> rare{
        0, 0, 0, 1, 999'999, 1'000'001, longest, -1, not_a_number, infinite, minus_infinite};
    return one_in(10) ? rare[static_cast<std::size_t>(below(11))] : duration();
  }

  command make(int at) {
    std::int64_t flags = below(16);  // mode, jitter, on_error
    if (!one_in(3)) flags -= flags & (3 * flag::jitter);
    if (one_in(8)) flags |= flag::on_error_throws;
    if (one_in(8)) flags |= flag::no_on_stop;
    if (one_in(8)) flags |= flag::on_stop_throws;
    if (one_in(6)) flags |= flag::on_strand;
    if (one_in(6)) flags |= flag::signals | flag::source * below(5);
    if (one_in(6)) flags |= flag::start;
    const nanos initial_delay = one_in(3) ? any_duration() : 0;
    return {verb::make, at, below(shape_count), any_duration(), initial_delay, flags};
  }

  command subscribe(int who) {
    const std::int64_t maxsize = one_in(20) ? -1 : below(4);
    return {verb::subscribe, who, below(feed_places), maxsize, below(2)};
  }

  command wait() {
    command c{verb::wait, place(), absent, absent, absent, below(2)};
    const auto kind = below(4);
    if (kind == 0) c.a = below(6) - 1;
    if (kind == 1) c.b = below(4) - 1;
    if (kind == 2) c.a = below(4), c.b = below(4);
    if (one_in(2)) c.c = any_duration();
    return c;
  }

  command group_wait(verb what) {
    command c{what, static_cast<int>(below(group_places)), absent, absent, absent, below(4)};
    const auto kind = below(3);
    if (kind == 0) c.a = below(4);
    if (kind == 1) c.b = below(4);
    if (one_in(2)) c.c = below(8) == 0 ? -below(2) : duration();
    return c;
  }

  command behave() { return {verb::behave, place(), below(6), 1 + below(3), below(5)}; }

  void host(command& c) {
    const bool can_be = c.what != verb::advance && c.what != verb::advance_next &&
                        c.what != verb::drain && c.what != verb::behave;
    if (!can_be) return;
    c.when = static_cast<moment>(1 + below(moment_names.size() - 1));
    c.host = place();
  }

  command any() {
    const auto dice = below(200);
    const int feed = static_cast<int>(below(feed_places));
    const int group = static_cast<int>(below(group_places));
    if (dice < 34) return {verb::advance, 0, duration()};
    if (dice < 40) return {verb::advance_next};
    if (dice < 48) return {verb::drain};
    if (dice < 58) return {verb::start, place(), below(2)};
    if (dice < 64) return {verb::stop, place()};
    if (dice < 69) return {verb::cancel, place(), below(2)};
    if (dice < 74) return {verb::join, place(), below(2)};
    if (dice < 79) return {verb::next, place(), below(2)};
    if (dice < 95) return wait();
    if (dice < 104) return {verb::trigger, place(), below(2)};
    if (dice < 112) return {verb::emit, 0, below(4), below(3)};
    if (dice < 126) return behave();
    if (dice < 134) return {verb::open, place(), below(4)};
    if (dice < 137) return {verb::set_delay, place(), any_duration()};
    if (dice < 142) return subscribe(place());
    if (dice < 152) return {verb::take, feed, below(2)};
    if (dice < 155) return {verb::drop_oldest, feed, below(5) - 1};
    if (dice < 157) return {verb::close, feed};
    if (dice < 158) return {verb::drop_feed, feed};
    if (dice < 159) return {verb::renew_feed, feed};
    if (dice < 162) return {verb::token, place()};
    if (dice < 165) return {verb::signal, place(), below(2)};
    if (dice < 168) return {verb::make_group, group};
    if (dice < 173) return {verb::add, group, place()};
    if (dice < 176) return {verb::start_group, group};
    if (dice < 181) return group_wait(verb::group_wait);
    if (dice < 185) return group_wait(verb::group_trigger);
    if (dice < 187) return {verb::cancel_all, group, 0, 0, 0, below(4)};
    if (dice < 188) return {verb::drop_group, group};
    if (dice < 189) return {verb::renew_group, group};
    if (dice < 191) return make(place());
    if (dice < 193) return {verb::drop, place()};
    if (dice < 194) return {verb::renew, place()};
    if (dice < 196) return {verb::assign, place(), below(timer_places)};
    if (dice < 198) return {verb::poll_cancel, place()};
    return {verb::poll_trigger, place()};
  }

  Source* source_;
};

inline program make_program(std::uint64_t seed) {
  random_source source(seed);
  return generator(source).make_program();
}
inline program make_program(std::span<const std::uint8_t> bytes) {
  byte_source source(bytes);
  return generator(source).make_program();
}

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_GENERATOR_HPP
