// Finds the context's own executor behind whatever a user came with.
// The scheduler's driver must not sit on a user's strand, where one slow handler would delay all.
#ifndef ASYNC_TIMER_NET_EXECUTOR_HPP
#define ASYNC_TIMER_NET_EXECUTOR_HPP

#include <async_timer/net/asio.hpp>
#include <typeinfo>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Undoes what makes an executor count as work: a lane that kept work for its life would keep run()
/// from returning. The type of a tracked executor is another one, also below a strand.
inline net::any_io_executor untracked(const net::any_io_executor& executor) {
  return net::prefer(executor, net::execution::outstanding_work.untracked);
}

/// Returns the executor of that very type inside an any_io_executor, or null.
///
/// Asio 1.22's own `target<E>()` is an unchecked cast, so the type is asked first.
template <class Executor>
const Executor* executor_target(const net::any_io_executor& executor) noexcept {
  return executor && executor.target_type() == typeid(Executor) ? executor.target<Executor>()
                                                                : nullptr;
}

template <class Inner>
const net::strand<Inner>* strand_target(const net::any_io_executor& executor) noexcept {
  return executor_target<net::strand<Inner>>(executor);
}

/// Peels one strand over an `Inner` off; tells whether there was one.
template <class Inner>
bool peel_strand(net::any_io_executor& executor) {
  const auto* strand = strand_target<Inner>(executor);
  if (strand != nullptr) {
    executor = net::any_io_executor(strand->get_inner_executor());
  }
  return strand != nullptr;
}

/// Peels strands off: those of a type that is nested up to twice, over what an any_io_executor
/// holds as deep as one likes.
inline net::any_io_executor innermost_executor(net::any_io_executor executor) {
  using io = net::io_context::executor_type;
  using pool = net::thread_pool::executor_type;
  while (peel_strand<io>(executor) || peel_strand<pool>(executor) ||
         peel_strand<net::any_io_executor>(executor) || peel_strand<net::strand<io>>(executor) ||
         peel_strand<net::strand<pool>>(executor) ||
         peel_strand<net::strand<net::any_io_executor>>(executor)) {
  }
  return executor;
}

/// Is what Asio associates with handlers that have no executor of their own but say so:
/// use_future's, whose own executor has no public name but this form, and those of ranged parallel
/// groups.
///
/// Asio's operations dispatch through it where they end, so such a handler runs on the thread of
/// the context, as one without an executor; posted to it brings in threads of Asio's
/// system_context.
template <class Executor>
inline constexpr bool is_nowhere = false;
template <class Blocking, class Relationship, class Allocator>
inline constexpr bool is_nowhere<net::basic_system_executor<Blocking, Relationship, Allocator>> =
    true;
template <template <class, class> class Executor, class T>
inline constexpr bool is_nowhere<Executor<T, net::execution::blocking_t::possibly_t>> = true;

/// Tells whether the executor is a context's own, so that work may run in its handlers directly.
inline bool is_context_executor(const net::any_io_executor& executor) noexcept {
  return executor_target<net::io_context::executor_type>(executor) != nullptr ||
         executor_target<net::thread_pool::executor_type>(executor) != nullptr;
}

/// Asks the strand that an executor is; false if it is none.
template <class Question>
bool ask_strand(const net::any_io_executor& executor, const Question& question) {
  const auto ask = [&](const auto* strand) { return strand != nullptr && question(*strand); };
  return ask(strand_target<net::io_context::executor_type>(executor)) ||
         ask(strand_target<net::thread_pool::executor_type>(executor)) ||
         ask(strand_target<net::any_io_executor>(executor)) ||
         ask(strand_target<net::strand<net::io_context::executor_type>>(executor)) ||
         ask(strand_target<net::strand<net::thread_pool::executor_type>>(executor)) ||
         ask(strand_target<net::strand<net::any_io_executor>>(executor));
}

inline bool is_strand(const net::any_io_executor& executor) noexcept {
  return ask_strand(executor, [](const auto&) { return true; });
}

/// Tells whether this thread runs a handler of that strand.
inline bool runs_in_strand(const net::any_io_executor& executor) noexcept {
  return ask_strand(executor, [](const auto& strand) { return strand.running_in_this_thread(); });
}

/// Returns an executor that runs handlers one at a time: the given one, or a strand over it.
///
/// A strand over any_io_executor asks it with each function how it blocks, and that allocates the
/// answer; one over the context's own executor doesn't.
inline net::any_io_executor serial_over(const net::any_io_executor& executor) {
  if (is_strand(executor)) {
    return executor;
  }
  if (const auto* io = executor_target<net::io_context::executor_type>(executor)) {
    return net::make_strand(*io);
  }
  if (const auto* pool = executor_target<net::thread_pool::executor_type>(executor)) {
    return net::make_strand(*pool);
  }
  return net::make_strand(executor);
}

inline net::execution_context& context_of(const net::any_io_executor& executor) {
  return net::query(executor, net::execution::context);
}

inline net::any_io_executor tracked(const net::any_io_executor& executor) {
  return net::prefer(executor, net::execution::outstanding_work.tracked);
}

/// Returns what counts as work of an executor: another form of it, or, for one of the Networking
/// TS, as io_context::strand is, a guard over it.
template <class Executor>
auto work_of(const Executor& executor) {
  if constexpr (net::execution::is_executor<Executor>::value) {
    return net::prefer(executor, net::execution::outstanding_work.tracked);
  } else {
    return net::executor_work_guard<Executor>(executor);
  }
}

template <class Function, class Executor>
void post_as_work(const Executor& work, Function&& function) {
  net::post(work, std::forward<Function>(function));
}
template <class Function, class Executor>
void post_as_work(const net::executor_work_guard<Executor>& work, Function&& function) {
  net::post(work.get_executor(), std::forward<Function>(function));
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_EXECUTOR_HPP
