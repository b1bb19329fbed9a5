// What a group is: its members, in order, and whether it is active.
#ifndef ASYNC_TIMER_TIMER_GROUP_STATE_HPP
#define ASYNC_TIMER_TIMER_GROUP_STATE_HPP

#include <algorithm>
#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/operation_with.hpp>
#include <async_timer/scheduler/lane.hpp>
#include <async_timer/timer/blocking.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/group_operation.hpp>
#include <async_timer/timer/group_parts.hpp>
#include <async_timer/timer/timer.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is a timer<T> or derives from one, as those of every() do.
template <class Timer>
concept any_timer = std::is_object_v<Timer> && !std::is_const_v<Timer> &&
                    std::derived_from<Timer, timer<typename Timer::value_type>> &&
                    std::is_nothrow_move_constructible_v<Timer>;

/// Owns a member and keeps its address; refers to its core, also when it is closed.
class group_member {
 public:
  group_member(timer_core& core, const member_kind& kind) noexcept : core_(&core), kind_(&kind) {}
  group_member(const group_member&) = delete;
  group_member& operator=(const group_member&) = delete;
  virtual ~group_member() = default;

  /// Destroys the timer.
  virtual void close() noexcept = 0;

  [[nodiscard]] timer_core& core() const noexcept { return *core_; }
  [[nodiscard]] const member_kind& kind() const noexcept { return *kind_; }

 private:
  const base::ref_ptr<timer_core> core_;
  const member_kind* kind_;
};

template <any_timer Timer>
class group_member_of final : public group_member {
 public:
  /// Leaves the timer where it is until take().
  explicit group_member_of(const Timer& timer)
      : group_member(core_access::of(timer), member_kind_of<typename Timer::value_type>) {}

  Timer& take(Timer&& timer) noexcept { return timer_.emplace(std::move(timer)); }
  void close() noexcept override { timer_.reset(); }

 private:
  std::optional<Timer> timer_;
};

/// Starts a member in two steps, since the second one gives work to the executors of users, and
/// lines to their sink.
class start_of_member {
 public:
  /// Tells whether this call has started it; leaves a running one alone. With the group's lock
  /// held.
  bool begin(timer_core& member, const base::ref_ptr<lane>& fallback) {
    if (member.is_running()) {
      return false;
    }
    try {
      run_.where = fallback;
      member.begin_start(run_);
      member_ = base::ref_ptr<timer_core>(&member);
      return true;
    } catch (const timer_already_running_error&) {
      if (!member.is_running()) {
        throw;  // it cleans up after its last run
      }
      return false;
    }
  }
  /// Follows begin(), with no lock held.
  void end() const {
    if (member_) {
      member_->end_start(run_);
    }
  }

 private:
  timer_core::beginning run_{.is_fallback = true};
  base::ref_ptr<timer_core> member_;
};

/// Is shared by the group's handle and by operations that were not initiated yet.
///
/// Its lock is taken before a timer's, and never held across code of a user, but for what an
/// executor is asked when a run begins: copies, and properties.
class group_state {
 public:
  group_state(base::ref_ptr<lane> where, std::string name)
      : name_(std::move(name)), lane_(std::move(where)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] lane& where() const noexcept { return *lane_; }

  template <any_timer Timer>
  Timer& add(Timer&& timer) {
    auto added = std::make_unique<group_member_of<Timer>>(timer);
    auto& place = *added;
    start_of_member begun;  // ended without the lock
    std::unique_lock lock(mutex_);
    members_.push_back(std::move(added));
    if (active_) {
      try {
        begun.begin(place.core(), lane_);
      } catch (...) {
        members_.pop_back();
        throw;
      }
    }
    lock.unlock();
    auto& taken = place.take(std::forward<Timer>(timer));
    begun.end();
    return taken;
  }

  /// Starts the members that don't run. If one can't be started the group is inactive, and
  /// `started` has those that this call has started.
  ///
  /// @param again  also if the group is active
  std::exception_ptr start(bool again, timer_cores& started) {
    std::vector<start_of_member> begun;  // ended without the lock
    std::unique_lock lock(mutex_);
    if (active_ && !again) {
      return nullptr;
    }
    begun.resize(members_.size());
    started.reserve(members_.size());
    was_started_ = true;
    active_ = true;
    std::exception_ptr failure;
    for (std::size_t index = 0; index < members_.size() && !failure; ++index) {
      try {
        if (begun[index].begin(members_[index]->core(), lane_)) {
          started.emplace_back(&members_[index]->core());
        }
      } catch (...) {
        active_ = false;
        failure = std::current_exception();
      }
    }
    lock.unlock();
    for (const auto& each : begun) {
      each.end();
    }
    return failure;
  }

  [[nodiscard]] bool is_running() const {
    const std::scoped_lock lock(mutex_);
    return active_ && std::all_of(members_.begin(), members_.end(),
                                  [](const auto& each) { return each->core().is_running(); });
  }

  [[nodiscard]] std::size_t size() const {
    const std::scoped_lock lock(mutex_);
    return members_.size();
  }

  [[nodiscard]] std::vector<timer_ref> references() const {
    const std::scoped_lock lock(mutex_);
    std::vector<timer_ref> all;
    all.reserve(members_.size());
    for (const auto& each : members_) {
      all.push_back(each->core().reference());
    }
    return all;
  }

  /// Gives the members of this moment and, in the same order, their kinds.
  [[nodiscard]] std::pair<timer_cores, std::vector<const member_kind*>> snapshot() const {
    const std::scoped_lock lock(mutex_);
    std::pair<timer_cores, std::vector<const member_kind*>> shot;
    shot.first.reserve(members_.size());
    shot.second.reserve(members_.size());
    for (const auto& each : members_) {
      shot.first.emplace_back(&each->core());
      shot.second.push_back(&each->kind());
    }
    return shot;
  }

  /// Makes the group inactive and gives the members of this moment.
  [[nodiscard]] timer_cores deactivate() {
    timer_cores all;
    const std::scoped_lock lock(mutex_);
    all.reserve(members_.size());
    active_ = false;
    for (const auto& each : members_) {
      all.emplace_back(&each->core());
    }
    return all;
  }

  /// Makes the group inactive and requests the stop of its members, which needs no memory.
  void request_stop() noexcept {
    {
      const std::scoped_lock lock(mutex_);
      active_ = false;  // first: who is added from now on is not started
    }
    for (std::size_t index = 0; const auto* const next = member(index); ++index) {
      next->core().request_stop();
    }
  }

  /// Destroys the members' timers, which stops them. Who is to cancel the group, as a scope is, can
  /// wait for their clean-up nevertheless.
  void close() noexcept {
    for (std::size_t index = 0; auto* const next = member(index); ++index) {
      next->close();
    }
  }

  /// Refuses a blocking form that could only hang (contract 20.18).
  void check_may_block(const char* method, const char* instead) const {
    bool was_started = false;
    {
      const std::scoped_lock lock(mutex_);
      was_started = was_started_;
    }
    detail::check_may_block(was_started, lane_->executor(), "timer group", method, instead);
    for (std::size_t index = 0; const auto* const next = member(index); ++index) {
      const auto& timer = next->core();
      if (const auto executor = timer.executor(); executor && !timer.is_over()) {
        detail::check_may_block(true, executor, "timer group", method, instead);
      }
    }
  }

  [[nodiscard]] std::string describe() const {
    const std::scoped_lock lock(mutex_);
    return "timer_group(" + (name_.empty() ? std::string() : "name=\"" + name_ + "\", ") +
           "timers=" + std::to_string(members_.size()) + (active_ ? ", active)" : ", inactive)");
  }

 private:
  /// Gives a member, which stays as long as this; null behind the last one.
  [[nodiscard]] group_member* member(std::size_t index) const noexcept {
    const std::scoped_lock lock(mutex_);
    return index < members_.size() ? members_[index].get() : nullptr;
  }

  const std::string name_;
  const base::ref_ptr<lane> lane_;
  mutable base::word_lock mutex_;
  std::vector<std::unique_ptr<group_member>> members_;
  bool active_ = false;
  bool was_started_ = false;
};

struct initiate_group_values {
  using executor_type = net::any_io_executor;

  std::shared_ptr<group_state> group;
  group_wait_options options;
  bool trigger;

  [[nodiscard]] executor_type get_executor() const { return group->where().executor(); }

  template <class Handler>
  void operator()(Handler&& handler) const {
    using op_type = operation_with<group_value_operation, std::decay_t<Handler>>;
    std::decay_t<Handler> owned(std::forward<Handler>(handler));
    auto members = group->snapshot();
    auto op = op_type::create(std::move(owned), get_executor(), std::move(members.first),
                              std::move(members.second), options, trigger);
    const void* const caller = op->caller();
    op->connect_slot();
    op.detach()->begin(caller, group->where(), options.timeout);
  }
};

struct initiate_group_stop {
  using executor_type = net::any_io_executor;

  std::shared_ptr<group_state> group;
  std::optional<timer_cores> only;  ///< instead of all

  [[nodiscard]] executor_type get_executor() const { return group->where().executor(); }

  template <class Handler>
  void operator()(Handler&& handler) const {
    using op_type = operation_with<group_stop_operation, std::decay_t<Handler>>;
    const auto keep = group;  // the handler, and this with it, may be gone when something throws
    const bool stops_all = !only;  // else who names some has stopped them
    try {
      std::decay_t<Handler> owned(std::forward<Handler>(handler));
      auto op = op_type::create(std::move(owned), get_executor(),
                                only ? *only : group->deactivate(), group->name());
      const void* const caller = op->caller();
      op->connect_slot();
      op.detach()->begin(caller, keep->where(), std::nullopt);
    } catch (...) {
      if (stops_all) {
        keep->request_stop();
      }
      throw;
    }
  }
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_GROUP_STATE_HPP
