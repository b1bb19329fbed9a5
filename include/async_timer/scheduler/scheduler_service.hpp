// Ties a scheduler to its execution context: found by any executor, shut down with the context.
#ifndef ASYNC_TIMER_SCHEDULER_SCHEDULER_SERVICE_HPP
#define ASYNC_TIMER_SCHEDULER_SCHEDULER_SERVICE_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class scheduler_service final : public net::execution_context::service {
 public:
  static inline net::execution_context::id id;

  explicit scheduler_service(net::execution_context& context)
      : net::execution_context::service(context) {}
  ~scheduler_service() override { forget(); }

  /// Returns the scheduler of the context that an executor belongs to.
  ///
  /// @param virtual_time  makes nothing that asks the operating system: an `io_context` without
  ///   timers, sockets and the like need not look for them between any two handlers
  static std::shared_ptr<scheduler> of(const net::any_io_executor& executor,
                                       bool virtual_time = false) {
    const auto beneath = executor_beneath(executor);
    auto& context = context_of(beneath);
    if (!net::has_service<scheduler_service>(context)) {
      // Services are shut down newest first. What strands and timers hold must outlast ours, which
      // would take their dropped handlers for lost ticks otherwise.
      net::make_strand(inside_context(context));
      if (!virtual_time) {
        context_timer{inside_context(context)};
      }
    }
    auto& service = net::use_service<scheduler_service>(context);
    return service.get(beneath);
  }

  /// As of(), but asks the context only when this thread's last call was for another one.
  static scheduler& near(const net::any_io_executor& executor) {
    struct answer {
      const net::execution_context* context = nullptr;
      scheduler* found = nullptr;
      std::uint64_t age = 0;
    };
    thread_local answer last;
    const auto* context = &context_of(executor);
    const auto now = age_.load(std::memory_order_acquire);
    if (last.context != context || last.age != now) {
      last = {context, of(executor).get(), now};
    }
    return *last.found;
  }

 private:
  /// Makes all answers of near() stale: another context may get this one's address.
  static void forget() noexcept { age_.fetch_add(1, std::memory_order_acq_rel); }

  std::shared_ptr<scheduler> get(const net::any_io_executor& beneath) {
    const std::scoped_lock lock(mutex_);
    if (scheduler_ == nullptr) {
      if (is_shut_down_) {
        throw threadsafe_dispatch_error(context_is_gone);
      }
      scheduler_ = std::make_shared<scheduler>(context());
    }
    if (!knows_own_ && is_context_executor(beneath)) {
      scheduler_->know_own(beneath);
      knows_own_ = true;
    }
    return scheduler_;
  }

  void shutdown() noexcept override {
    forget();
    std::shared_ptr<scheduler> doomed;
    {
      const std::scoped_lock lock(mutex_);
      is_shut_down_ = true;
      doomed = scheduler_;  // stays: destructors that run now may still ask for it
    }
    if (doomed) {
      doomed->shutdown();
    }
  }

  static inline std::atomic<std::uint64_t> age_{1};

  base::word_lock mutex_;
  std::shared_ptr<scheduler> scheduler_;
  bool knows_own_ = false;
  bool is_shut_down_ = false;
};

/// Returns where the ticks of timers with this executor run.
inline base::ref_ptr<lane> lane_of(const net::any_io_executor& executor) {
  if (!executor) {
    throw std::invalid_argument("async_timer: executor must not be empty");
  }
  return scheduler_service::near(executor).lane_for(executor);
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_SCHEDULER_SERVICE_HPP
