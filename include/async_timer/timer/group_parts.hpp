// The two kinds of group operations: those that gather the members' values, and the one that waits
// for their clean-up.
#ifndef ASYNC_TIMER_TIMER_GROUP_PARTS_HPP
#define ASYNC_TIMER_TIMER_GROUP_PARTS_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/timer/blocking.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/group_operation.hpp>
#include <async_timer/timer/group_result.hpp>
#include <async_timer/timer/initiate.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/report.hpp>
#include <async_timer/timer/waiter.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class group_value_operation;

/// Is what a group knows of the value type of a member.
struct member_kind {
  const std::type_info* type;
  base::ref_ptr<waiter> (*make_part)(group_value_operation& whole, std::size_t index,
                                     timer_core& member, awaited what, tick_goal goal);
};

/// Gathers one outcome for each member.
class group_value_operation : public group_operation {
 public:
  /// @param kinds  one for each member, in the same order
  group_value_operation(timer_cores members, std::vector<const member_kind*> kinds,
                        const group_wait_options& options, bool trigger)
      : group_operation(std::move(members)),
        kinds_(std::move(kinds)),
        goal_{.hit_count = options.hit_count, .hits = options.hits},
        return_exceptions_(options.return_exceptions),
        trigger_(trigger) {
    results_.reserve(kinds_.size());
    for (std::size_t index = 0; index < kinds_.size(); ++index) {
      results_.push_back({member(index).reference(), group_outcome(*kinds_[index]->type)});
    }
  }

  /// Takes the outcome of a part; called by that, once.
  void part_done(std::size_t index, const std::exception_ptr& error,
                 std::shared_ptr<const void> value) noexcept {
    keep_outcome(index, error, std::move(value));
    arrive(index);
  }

 protected:
  ~group_value_operation() override = default;

  struct outcome {
    std::exception_ptr error;
    std::vector<group_result> results;
    template <class Handler>
    void operator()(Handler& handler) {
      std::move(handler)(std::move(error), std::move(results));
    }
  };
  outcome take() noexcept {
    if (error_) {
      results_.clear();
    }
    return {std::move(error_), std::move(results_)};
  }

 private:
  void enroll(std::size_t index, const void* caller) override {
    timer_core& timer = member(index);
    const auto what = trigger_                        ? awaited::tick
                      : goal_.hit_count || goal_.hits ? awaited::count
                                                      : awaited::end;
    auto part = kinds_[index]->make_part(*this, index, timer, what, goal_of(goal_));
    keep(index, part);
    timer.enroll(std::move(part), caller, std::nullopt, trigger_);
  }
  void could_not_enroll(std::size_t index, const std::exception_ptr& error) noexcept override {
    keep_outcome(index, error, nullptr);
  }
  [[nodiscard]] std::exception_ptr timed_out() const noexcept override {
    return base::error_of<timeout_error>(
        trigger_ ? "timer_group::trigger: the timeout passed before every member had ticked; the "
                   "timers themselves are untouched"
                 : "timer_group::wait: the timeout passed before every member met the condition; "
                   "the timers themselves are untouched");
  }

  void keep_outcome(std::size_t index, const std::exception_ptr& error,
                    std::shared_ptr<const void> value) noexcept {
    // Each part has a place of its own, and nobody looks before the last one has arrived.
    results_[index].outcome.set_error(error);
    results_[index].outcome.set_value(std::move(value));
    if (error && !return_exceptions_) {
      fail(error);
    }
  }

  const std::vector<const member_kind*> kinds_;
  const wait_options goal_;
  const bool return_exceptions_;
  const bool trigger_;
  std::vector<group_result> results_;
};

/// Waits for one member; has no handler, reports to the whole.
template <class T, bool AsOptional>
class group_value_part final : public value_waiter<T, AsOptional> {
 public:
  group_value_part(group_value_operation& whole, std::size_t index, timer_core& member,
                   awaited what, tick_goal goal) noexcept
      : value_waiter<T, AsOptional>(member, what, goal), whole_(&whole), index_(index) {}

  // The deadline is the whole's, so it may complete at any time.
  void complete() noexcept override {
    auto taken = this->take_outcome();
    std::shared_ptr<const void> value;
    if (taken.value) {
      try {
        value = taken.value->share();
      } catch (...) {
        taken.error = std::current_exception();
      }
    }
    whole_->part_done(index_, taken.error, std::move(value));
    this->release();
  }
  void abandon() noexcept override {
    this->set_error(context_went_away());
    complete();
  }

 private:
  group_value_operation* const whole_;
  const std::size_t index_;
};

template <class T>
base::ref_ptr<waiter> make_group_part(group_value_operation& whole, std::size_t index,
                                      timer_core& member, awaited what, tick_goal goal) {
  if (what == awaited::tick) {
    using part = group_value_part<T, false>;
    return base::ref_ptr<part>::adopt(new part(whole, index, member, what, goal));
  }
  using part = group_value_part<T, true>;
  return base::ref_ptr<part>::adopt(new part(whole, index, member, what, goal));
}

template <class T>
inline constexpr member_kind member_kind_of{&typeid(tick_value_t<T>), &make_group_part<T>};

/// Stops all members and waits for their clean-up; fails by its own cancellation only.
class group_stop_operation : public group_operation {
 public:
  group_stop_operation(timer_cores members, std::string group_name)
      : group_operation(std::move(members)), group_name_(std::move(group_name)) {}

  void part_done(std::size_t index, const std::exception_ptr& trouble) noexcept {
    note(index, trouble);
    arrive(index);
  }

  // For an operation without a handler: a waiting thread learns that a context went away.
  void set_error(const std::exception_ptr& error) noexcept { trouble_ = error; }
  auto take_outcome() noexcept { return outcome{trouble_}; }

 protected:
  ~group_stop_operation() override = default;

  struct outcome {
    std::exception_ptr error;
    template <class Handler>
    void operator()(Handler& handler) {
      std::move(handler)(std::move(error));
    }
  };
  outcome take() noexcept { return {std::move(error_)}; }

 private:
  class part final : public stop_waiter {
   public:
    part(group_stop_operation& whole, std::size_t index, timer_core& member) noexcept
        : stop_waiter(member), whole_(&whole), index_(index) {}
    void complete() noexcept override {
      const auto error = this->take_outcome().error;
      report(is_stopped(error) ? nullptr : error);  // else there was no memory to wait
    }
    void abandon() noexcept override { report(context_went_away()); }

   private:
    void report(const std::exception_ptr& trouble) noexcept {
      whole_->part_done(index_, trouble);
      this->release();
    }
    group_stop_operation* const whole_;
    const std::size_t index_;
  };

  void enroll(std::size_t index, const void* caller) override {
    auto stopping = base::ref_ptr<part>::adopt(new part(*this, index, member(index)));
    keep(index, stopping);
    member(index).enroll_stop(std::move(stopping), caller);
  }
  void could_not_enroll(std::size_t index, const std::exception_ptr& error) noexcept override {
    member(index).request_stop();
    note(index, error);
  }
  void note(std::size_t index, const std::exception_ptr& trouble) noexcept {
    if (trouble) {
      report_group_cancel_failure(group_name_, member(index), trouble);
      const std::scoped_lock lock(mutex_);
      trouble_ = trouble;
    }
  }

  const std::string group_name_;
  std::exception_ptr trouble_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_GROUP_PARTS_HPP
