// An operation with its handler, type-erased: any_completion_handler needs a newer Asio.
// The completion is posted to the handler's executor; there the cancellation slot is cleared, the
// memory is freed, and only then the handler is called. A handler that is destroyed unrun goes
// last, too: its allocator may refer to what it owns.
#ifndef ASYNC_TIMER_NET_OPERATION_WITH_HPP
#define ASYNC_TIMER_NET_OPERATION_WITH_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/inside_scope.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <async_timer/net/operation.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Adds a handler to an outcome. `Outcome` derives from operation and has `take()`, which returns a
/// callable that applies the outcome to a handler, and `may_complete()`, which tells whether to go
/// on; if not, it calls complete() or abandon() again later.
template <class Outcome, class Handler>
class operation_with final : public Outcome {
  using executor_type = net::associated_executor_t<Handler, net::any_io_executor>;
  /// Is where the completion is posted: the handler's executor, unless that is nowhere.
  using home_type =
      std::conditional_t<is_nowhere<executor_type>, net::any_io_executor, executor_type>;
  using work_type = std::decay_t<decltype(work_of(std::declval<const home_type&>()))>;
  using allocator_type = typename std::allocator_traits<
      net::associated_allocator_t<Handler>>::template rebind_alloc<operation_with>;

 public:
  /// Makes an operation with one reference, held by the returned pointer.
  ///
  /// @param handler   moved from unless this throws
  /// @param fallback  where the handler runs if it names no executor; may be empty.
  template <class... Args>
  static base::ref_ptr<operation_with> create(Handler&& handler,
                                              const net::any_io_executor& fallback,
                                              Args&&... args) {
    allocator_type allocator(net::get_associated_allocator(handler));
    auto* memory = std::allocator_traits<allocator_type>::allocate(allocator, 1);
    try {
      ::new (static_cast<void*>(memory))
          operation_with(handler, fallback, std::forward<Args>(args)...);
    } catch (...) {
      std::allocator_traits<allocator_type>::deallocate(allocator, memory, 1);
      throw;
    }
    return base::ref_ptr<operation_with>::adopt(memory);
  }

  /// Lets the handler's slot cancel this operation; before it is visible to other threads.
  void connect_slot() {
    auto slot = net::get_associated_cancellation_slot(*handler_);
    if (slot.is_connected()) {
      link_ = base::ref_ptr<slot_link>::adopt(new slot_link(*this));
      slot.assign(canceller{link_});
    }
  }

  /// Returns where the handler runs, type-erased; empty if that can't be.
  [[nodiscard]] net::any_io_executor executor_of_context() const {
    if constexpr (is_nowhere<executor_type>) {
      return untracked(*work_);
    } else if constexpr (std::is_convertible_v<const executor_type&, net::any_io_executor>) {
      return net::any_io_executor(*executor_);
    } else if constexpr (requires { executor_->context().get_executor(); }) {
      return executor_->context().get_executor();  // an io_context::strand's
    } else {
      return {};
    }
  }

  /// Tells for inside-the-target detection whose executor the handler runs on.
  [[nodiscard]] const void* caller() const { return owner_of(executor_of_context()); }

  void complete() noexcept override {
    if (!this->may_complete()) {
      return;
    }
    // A copy: the posted function may run, and free this object, before post() returns.
    const auto work = *work_;
    try {
      post_as_work(work, completion<false>(this));
    } catch (...) {
      // The function was destroyed unrun, which has freed the handler; there is no memory to tell.
      // Or the executor ran it then and there, and the handler threw.
    }
  }

  void abandon() noexcept override {
    if (!this->may_complete()) {
      return;
    }
    [[maybe_unused]] const auto work = std::move(work_);  // until the handler is gone
    this->release();
  }

 private:
  struct canceller {
    base::ref_ptr<slot_link> link;
    void operator()(net::cancellation_type type) const {
      if (type != net::cancellation_type::none) {
        link->cancel();
      }
    }
  };

  /// Runs the completion, or frees the operation if the executor drops it.
  ///
  /// @tparam IsHome  it only has to run, where it is; else it may have to pass an executor first.
  template <bool IsHome>
  class completion {
   public:
    using allocator_type = net::associated_allocator_t<Handler>;

    explicit completion(operation_with* op) noexcept
        : op_(op), allocator_(net::get_associated_allocator(*op->handler_)) {}
    completion(completion&& other) noexcept
        : op_(std::exchange(other.op_, nullptr)), allocator_(other.allocator_) {}
    completion& operator=(completion&&) = delete;
    ~completion() {
      if (op_ != nullptr) {
        op_->abandon();
      }
    }
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_; }
    void operator()() {
      auto* const op = std::exchange(op_, nullptr);
      if constexpr (IsHome || !is_nowhere<executor_type>) {
        op->run();
      } else {
        const auto executor = *op->executor_;
        net::dispatch(executor, completion<true>(op));
      }
    }

   private:
    operation_with* op_;
    allocator_type allocator_;
  };

  template <class... Args>
  operation_with(Handler& handler, const net::any_io_executor& fallback, Args&&... args)
      : Outcome(std::forward<Args>(args)...),
        executor_(net::get_associated_executor(handler, fallback)),
        allocator_(net::get_associated_allocator(handler)) {
    if constexpr (std::is_same_v<executor_type, net::any_io_executor>) {
      if (!*executor_) {
        throw threadsafe_dispatch_error(
            "the timer has no executor (never started, or its context is gone) and the completion "
            "handler names none: bind one with bind_executor, or start the timer first");
      }
    }
    work_.emplace(work_of(home(fallback)));
    handler_.emplace(std::move(handler));  // last: who throws needs it to give the memory back
  }

  [[nodiscard]] home_type home(const net::any_io_executor& fallback) const {
    if constexpr (is_nowhere<executor_type>) {
      return fallback ? fallback : net::any_io_executor(net::system_executor());
    } else {
      return *executor_;
    }
  }

  void run() {
    net::get_associated_cancellation_slot(*handler_).clear();
    [[maybe_unused]] const auto work = std::move(work_);  // until the handler is gone
    Handler handler(std::move(*handler_));
    handler_.reset();
    auto completion_with_outcome = this->take();
    this->release();
    const base::outside_scope outside;
    completion_with_outcome(handler);
  }

  /// Gives the memory back, and then destroys the handler if it is still there: the allocator may
  /// last no longer.
  void destroy() noexcept override {
    if (link_) {
      link_->cut();
    }
    std::optional<Handler> handler;
    if (handler_) {
      try {
        handler.emplace(std::move(*handler_));
      } catch (...) {
        // Its move failed, as that of a constant capture may: it goes where it is.
      }
    }
    allocator_type allocator(allocator_);
    std::destroy_at(this);
    std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
  }

  std::optional<executor_type> executor_;
  std::optional<work_type> work_;
  allocator_type allocator_;
  std::optional<Handler> handler_;
  base::ref_ptr<slot_link> link_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_OPERATION_WITH_HPP
