// Where one suspended coroutine's handler waits, in place, to be resumed or destroyed.
#ifndef ASYNC_TIMER_NET_PARKING_PLACE_HPP
#define ASYNC_TIMER_NET_PARKING_PLACE_HPP

#include <async_timer/net/asio.hpp>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class parking_place {
 public:
  parking_place() = default;
  parking_place(const parking_place&) = delete;
  parking_place& operator=(const parking_place&) = delete;
  ~parking_place() { clear(); }

  template <class Handler>
  void put(Handler&& handler) noexcept {
    using stored = std::decay_t<Handler>;
    static_assert(sizeof(stored) <= size && alignof(stored) <= alignof(void*));
    ::new (static_cast<void*>(storage_)) stored(std::forward<Handler>(handler));
    act_ = &act<stored>;
  }

  void resume() { leave(true); }
  void clear() { leave(false); }

 private:
  static constexpr std::size_t size = 64;

  // The place is empty before the handler runs or dies: either may end this object's life.
  template <class Stored>
  static void act(std::byte* at, bool resume) {
    auto* const parked = std::launder(reinterpret_cast<Stored*>(at));
    Stored taken(std::move(*parked));
    parked->~Stored();
    if (resume) {
      std::move(taken)();
    }
  }
  void leave(bool resume) {
    if (auto* const run = std::exchange(act_, nullptr)) {
      run(storage_, resume);
    }
  }

  alignas(void*) std::byte storage_[size];
  void (*act_)(std::byte*, bool) = nullptr;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_PARKING_PLACE_HPP
