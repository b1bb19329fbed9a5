// Runs functions one at a time, in order, on an executor, as a strand of Asio does. But a strand is
// stuck for ever when its executor throws or drops a function, and ends the process if there is no
// memory to go on. Here the function concerned is destroyed unrun, which tells its owner, and the
// others run.
// It knows an executor and functions; it does not know whose they are.
#ifndef ASYNC_TIMER_NET_SERIAL_QUEUE_HPP
#define ASYNC_TIMER_NET_SERIAL_QUEUE_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// For each function in the queue a `turn` is on its way through the executor, or has come while
/// another function ran and is owed. A turn runs the oldest function, which need not be its own.
class serial_queue : public base::ref_counted {
 public:
  explicit serial_queue(net::any_io_executor below)
      : below_(std::move(below)),
        never_(net::require(below_, net::execution::blocking.never)),
        io_(executor_target<net::io_context::executor_type>(below_)),
        pool_(executor_target<net::thread_pool::executor_type>(below_)) {}

  /// Runs a function: at once if that can be and is allowed, or in its turn. If it throws the
  /// function was destroyed, unless it was what threw.
  template <class Function>
  void execute(Function&& function, bool never_blocking) {
    using stored = std::decay_t<Function>;
    if (!never_blocking && running::is_here(*this)) {
      stored own(std::forward<Function>(function));
      std::move(own)();
    } else if (!never_blocking && begin_at_once()) {
      const running now(*this);
      {
        stored own(std::forward<Function>(function));
        std::move(own)();
      }
      run_all(next_owed());
    } else {
      auto added = std::make_unique<item_of<stored>>(std::forward<Function>(function));
      send(push(std::move(added)), never_blocking ? never_ : below_);
    }
  }

  /// Is the executor below.
  [[nodiscard]] const net::any_io_executor& below() const noexcept { return below_; }

 private:
  struct item {
    item() = default;
    item(const item&) = delete;
    item& operator=(const item&) = delete;
    virtual ~item() = default;
    virtual void run(std::unique_ptr<item> self) = 0;

    std::unique_ptr<item> next;
    std::uint64_t serial = 0;
  };
  template <class Function>
  struct item_of final : item {
    template <class Given>
    explicit item_of(Given&& given) : function(std::forward<Given>(given)) {}
    void run(std::unique_ptr<item> self) override {
      Function own(std::move(function));
      self.reset();  // so that the function finds its memory free
      std::move(own)();
    }
    Function function;
  };

  /// Runs a function when its time has come, or destroys one if the executor drops this.
  class turn {
   public:
    turn(serial_queue& queue, std::uint64_t serial) noexcept : queue_(&queue), serial_(serial) {}
    turn(turn&&) noexcept = default;
    turn& operator=(turn&&) = delete;
    ~turn() {
      if (queue_) {
        queue_->take_for(serial_);
      }
    }
    void operator()() {
      const auto queue = std::move(queue_);
      queue->run_one();
    }

   private:
    base::ref_ptr<serial_queue> queue_;
    std::uint64_t serial_;
  };

  /// Marks on this thread's stack that a function of the queue runs; frees the queue at its end.
  class running {
   public:
    explicit running(serial_queue& queue) noexcept : queue_(&queue), outer_(innermost_) {
      innermost_ = this;
    }
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    ~running() {
      innermost_ = outer_;
      queue_->end();
    }
    [[nodiscard]] static bool is_here(const serial_queue& queue) noexcept {
      const auto* at = innermost_;
      while (at != nullptr && at->queue_.get() != &queue) {
        at = at->outer_;
      }
      return at != nullptr;
    }

   private:
    const base::ref_ptr<serial_queue> queue_;
    const running* const outer_;
    static inline constinit thread_local const running* innermost_ = nullptr;
  };

  /// Tells whether the caller may run a function right here; then the queue is its own.
  [[nodiscard]] bool begin_at_once() noexcept {
    if (!(io_ != nullptr && io_->running_in_this_thread()) &&
        !(pool_ != nullptr && pool_->running_in_this_thread())) {
      return false;
    }
    const std::scoped_lock lock(lock_);
    const bool is_free = first_ == nullptr && !busy_;
    busy_ = busy_ || is_free;
    return is_free;
  }

  [[nodiscard]] std::uint64_t push(std::unique_ptr<item> added) noexcept {
    const std::scoped_lock lock(lock_);
    item* const last = added.get();
    last->serial = ++latest_;
    (first_ != nullptr ? last_->next : first_) = std::move(added);
    last_ = last;
    return last->serial;
  }

  /// Sends a turn for a function in the queue. If that fails the function is destroyed, also if the
  /// turn is not: a strand below may keep it for ever.
  void send(std::uint64_t serial, const net::any_io_executor& by) {
    try {
      by.execute(turn(*this, serial));
    } catch (...) {
      std::unique_ptr<item> unheard;
      const std::scoped_lock lock(lock_);
      unheard = take(serial);
      throw;
    }
  }

  /// Is a turn: runs the oldest function, unless one runs on another thread.
  void run_one() {
    auto next = begin();
    if (next != nullptr) {
      const running now(*this);
      run_all(std::move(next));
    }
  }
  [[nodiscard]] std::unique_ptr<item> begin() noexcept {
    const std::scoped_lock lock(lock_);
    if (busy_) {
      ++owed_;
      return nullptr;
    }
    busy_ = first_ != nullptr;
    return pop();
  }
  [[nodiscard]] std::unique_ptr<item> next_owed() noexcept {
    const std::scoped_lock lock(lock_);
    if (owed_ == 0) {
      return nullptr;
    }
    --owed_;
    return pop();
  }
  void run_all(std::unique_ptr<item> next) {
    for (; next != nullptr; next = next_owed()) {
      item& due = *next;
      due.run(std::move(next));
    }
  }

  /// Frees the queue. What is owed after a function has thrown, or came this moment, is sent anew.
  void end() noexcept {
    std::uint64_t owed = 0;
    {
      const std::scoped_lock lock(lock_);
      busy_ = false;
      owed = std::exchange(owed_, 0);
    }
    for (; owed > 0; --owed) {
      try {
        never_.execute(turn(*this, 0));
      } catch (...) {
        // The turn was destroyed, and with it a function, which tells its owner.
      }
    }
  }

  /// Destroys the function that a turn was for, or the oldest if that had another one's.
  void take_for(std::uint64_t serial) noexcept {
    std::unique_ptr<item> dropped;
    const std::scoped_lock lock(lock_);
    dropped = take(serial);
    if (dropped == nullptr) {
      dropped = pop();
    }
  }

  // With the lock held.
  [[nodiscard]] std::unique_ptr<item> pop() noexcept {
    auto oldest = std::move(first_);
    if (oldest != nullptr) {
      first_ = std::move(oldest->next);
    }
    return oldest;
  }
  [[nodiscard]] std::unique_ptr<item> take(std::uint64_t serial) noexcept {
    item* before = nullptr;
    for (item* at = first_.get(); at != nullptr; before = std::exchange(at, at->next.get())) {
      if (at->serial != serial) {
        continue;
      }
      if (last_ == at) {
        last_ = before;
      }
      auto& place = before != nullptr ? before->next : first_;
      auto found = std::move(place);
      place = std::move(found->next);
      return found;
    }
    return nullptr;
  }

  const net::any_io_executor below_;
  const net::any_io_executor never_;
  const net::io_context::executor_type* const io_;
  const net::thread_pool::executor_type* const pool_;

  base::word_lock lock_;
  std::unique_ptr<item> first_;
  item* last_ = nullptr;
  std::uint64_t latest_ = 0;
  std::uint64_t owed_ = 0;
  bool busy_ = false;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_SERIAL_QUEUE_HPP
