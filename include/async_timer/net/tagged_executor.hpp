// An executor that tells whose work it runs: an `awaitable` target runs on one, its children
// inherit it, and so a call can be recognised as made from inside the target (contract D23, 15.7).
// It knows a serial executor and an opaque owner; it does not know what a timer is.
#ifndef ASYNC_TIMER_NET_TAGGED_EXECUTOR_HPP
#define ASYNC_TIMER_NET_TAGGED_EXECUTOR_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is what all copies of a tagged executor share.
class executor_tag final : public base::ref_counted {
 public:
  /// @param plain  the executor that the user gave, for objects that outlive the target.
  explicit executor_tag(net::any_io_executor plain)
      : plain_(std::move(plain)),
        possibly_(serial_over(plain_)),
        never_(net::require(possibly_, net::execution::blocking.never)) {}

  [[nodiscard]] const net::any_io_executor& plain() const noexcept { return plain_; }
  /// Runs handlers one at a time: the target, its children, its cancellation.
  [[nodiscard]] const net::any_io_executor& serial(bool never_blocking) const noexcept {
    return never_blocking ? never_ : possibly_;
  }

  /// Counts copies that stand for outstanding work, from begin_tracking() on: while there are any
  /// the context has work. Children of a target are work; the coroutine that serves it is not.
  void begin_tracking() noexcept { is_tracking_.store(true, std::memory_order_release); }
  [[nodiscard]] bool is_tracking() const noexcept {
    return is_tracking_.load(std::memory_order_acquire);
  }
  void add_work() noexcept {
    if (work_count_.fetch_add(1, std::memory_order_acq_rel) == 0) {
      update_work();
    }
  }
  void drop_work() noexcept {
    if (work_count_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      update_work();
    }
  }

  void set_owner(const void* owner) noexcept { owner_.store(owner, std::memory_order_release); }
  [[nodiscard]] const void* owner() const noexcept {
    return owner_.load(std::memory_order_acquire);
  }

 private:
  void update_work() noexcept {
    net::any_io_executor former;  // ends its work without the lock
    try {
      const std::scoped_lock lock(work_lock_);
      former = std::exchange(work_, {});
      if (work_count_.load(std::memory_order_acquire) > 0) {
        work_ = tracked(plain_);
      }
    } catch (...) {
      // No memory to hold the work: run() may return early.
    }
  }

  net::any_io_executor plain_;
  net::any_io_executor possibly_;
  net::any_io_executor never_;
  base::atomic<const void*> owner_{nullptr};
  base::atomic<bool> is_tracking_{false};
  std::atomic<std::int64_t> work_count_{0};
  base::word_lock work_lock_;
  net::any_io_executor work_;
};

/// Models an Asio executor.
class tagged_executor {
 public:
  explicit tagged_executor(base::ref_ptr<executor_tag> tag) noexcept : tag_(std::move(tag)) {}
  tagged_executor(const tagged_executor& other) noexcept
      : tagged_executor(other.tag_, other.never_, other.tracked_) {}
  tagged_executor& operator=(const tagged_executor& other) noexcept {
    tagged_executor copy(other);
    std::swap(tag_, copy.tag_);
    std::swap(never_, copy.never_);
    std::swap(tracked_, copy.tracked_);
    return *this;
  }
  ~tagged_executor() {
    if (tracked_ && tag_) {
      tag_->drop_work();
    }
  }

  [[nodiscard]] const executor_tag& tag() const noexcept { return *tag_; }

  // The names and forms from here on are those of Asio's executor and property protocol.
  net::execution_context& query(net::execution::context_t) const noexcept {
    return net::query(tag_->serial(never_), net::execution::context);
  }
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    return never_ ? net::execution::blocking_t(net::execution::blocking.never)
                  : net::execution::blocking_t(net::execution::blocking.possibly);
  }
  net::execution::outstanding_work_t query(net::execution::outstanding_work_t) const noexcept {
    return tracked_
               ? net::execution::outstanding_work_t(net::execution::outstanding_work.tracked)
               : net::execution::outstanding_work_t(net::execution::outstanding_work.untracked);
  }
  tagged_executor require(net::execution::blocking_t::never_t) const noexcept {
    return {tag_, true, tracked_};
  }
  tagged_executor require(net::execution::blocking_t::possibly_t) const noexcept {
    return {tag_, false, tracked_};
  }
  tagged_executor require(net::execution::outstanding_work_t::tracked_t) const noexcept {
    return {tag_, never_, tag_->is_tracking()};
  }
  tagged_executor require(net::execution::outstanding_work_t::untracked_t) const noexcept {
    return {tag_, never_, false};
  }
  template <class Function>
  void execute(Function&& function) const {
    tag_->serial(never_).execute(std::forward<Function>(function));
  }
  friend bool operator==(const tagged_executor& a, const tagged_executor& b) noexcept {
    return a.tag_.get() == b.tag_.get() && a.never_ == b.never_ && a.tracked_ == b.tracked_;
  }
  friend bool operator!=(const tagged_executor& a, const tagged_executor& b) noexcept {
    return !(a == b);
  }

 private:
  tagged_executor(const base::ref_ptr<executor_tag>& tag, bool never, bool tracked_work) noexcept
      : tag_(tag), never_(never), tracked_(tracked_work) {
    if (tracked_ && tag_) {  // always there; g++ 12 warns of a null one at -O2 if not asked
      tag_->add_work();
    }
  }

  base::ref_ptr<executor_tag> tag_;
  bool never_ = false;
  bool tracked_ = false;
};

/// Tells whose target an executor belongs to; null: nobody's.
inline const void* owner_of(const net::any_io_executor& executor) {
  const auto inner = innermost_executor(executor);
  const auto* tagged = executor_target<tagged_executor>(inner);
  return tagged != nullptr ? tagged->tag().owner() : nullptr;
}

/// Takes the tag off: a timer made inside a target must not keep that run's tag for its life.
inline net::any_io_executor untagged(const net::any_io_executor& executor) {
  const auto* tagged = executor_target<tagged_executor>(executor);
  return tagged != nullptr ? tagged->tag().plain() : executor;
}

/// Returns what is below all strands and tags of an executor.
inline net::any_io_executor executor_beneath(const net::any_io_executor& executor) {
  auto beneath = innermost_executor(untracked(executor));
  while (const auto* tagged = executor_target<tagged_executor>(beneath)) {
    beneath = innermost_executor(untracked(tagged->tag().plain()));
  }
  return beneath;
}

/// Tells whether this thread runs the context that an executor belongs to; false for contexts that
/// are neither an io_context nor a thread_pool, which can't be asked.
inline bool runs_in_this_thread(const net::any_io_executor& executor) {
  const auto own = executor_beneath(executor);
  if (const auto* io = executor_target<net::io_context::executor_type>(own)) {
    return io->running_in_this_thread();
  }
  if (const auto* pool = executor_target<net::thread_pool::executor_type>(own)) {
    return pool->running_in_this_thread();
  }
  return false;
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_TAGGED_EXECUTOR_HPP
