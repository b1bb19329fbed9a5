// What the scheduler holds: a node that becomes due, and where it is on its way.
#ifndef ASYNC_TIMER_SCHEDULER_SCHEDULE_NODE_HPP
#define ASYNC_TIMER_SCHEDULER_SCHEDULE_NODE_HPP

#include <async_timer/core/time.hpp>
#include <async_timer/core/timing_wheel.hpp>
#include <async_timer/net/asio.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class lane;

/// Says when a node wants to be due again.
struct rearm {
  core::time_point due;
  core::time_point now;  ///< as the node read it; a due not later than this means "next turn"
  std::chrono::nanoseconds delay{0};  ///< the node's own rhythm, for the coalescing of wake-ups
};

/// Is the work of a node that may go on after on_due(). Who serves it, in a higher room, and is
/// right beneath a turn, can take the next such node of it; see scheduler::next_served().
class served_work {
 protected:
  ~served_work() = default;
};

class schedule_node : public core::wheel_node {
 public:
  schedule_node() = default;
  schedule_node(const schedule_node&) = delete;
  schedule_node& operator=(const schedule_node&) = delete;

  /// Runs what is due; on the node's lane, or in the scheduler's turn if it has none.
  ///
  /// With a value the scheduler arms the node again and then calls after_rearm(). Without one the
  /// scheduler doesn't touch the node any more: it may be gone, or armed by somebody else.
  virtual std::optional<rearm> on_due() noexcept = 0;
  /// Gives the work that could be begun in place of a call of on_due(); null: there is none.
  virtual served_work* served() noexcept { return nullptr; }
  /// Follows the re-arming, with the scheduler's lock held.
  virtual void after_rearm() noexcept {}
  /// Says that there was no memory to arm the node again, or that its executor dropped it.
  virtual void on_lost(const std::exception_ptr&) noexcept {}
  /// Says that the context goes away: free what waits, call nobody.
  virtual void on_shutdown() noexcept = 0;

 protected:
  virtual ~schedule_node() = default;

 private:
  friend class scheduler;
  friend class ready_queue;
  friend class lane;

  enum class place : std::uint8_t { idle, armed, ready, running };

  // All guarded by the scheduler's mutex; lane_ changes only while the node is idle.
  schedule_node* next_ready_ = nullptr;
  lane* lane_ = nullptr;
  place place_ = place::idle;
  std::uint8_t delay_class_ = 0;

 protected:
  [[nodiscard]] lane* node_lane() const noexcept { return lane_; }
  void set_node_lane(lane* where) noexcept { lane_ = where; }
};

/// Is the queue of nodes whose time has come; through the nodes, so that queueing needs no memory.
class ready_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void push_back(schedule_node& node) noexcept {
    node.place_ = schedule_node::place::ready;
    node.next_ready_ = nullptr;
    (last_ != nullptr ? last_->next_ready_ : first_) = &node;
    last_ = &node;
    ++size_;
  }

  /// Takes over all of another queue, behind its own.
  void append(ready_queue& later) noexcept {
    if (later.empty()) {
      return;
    }
    (last_ != nullptr ? last_->next_ready_ : first_) = later.first_;
    last_ = later.last_;
    size_ += later.size_;
    later = {};
  }

  /// Takes out a node from anywhere; false if it is not here, or the queue is too long to search.
  bool erase(const schedule_node& node) noexcept {
    if (size_ > longest_searched) {
      return false;
    }
    schedule_node* before = nullptr;
    schedule_node* at = first_;
    for (; at != nullptr && at != &node; at = at->next_ready_) {
      before = at;
    }
    if (at == nullptr) {
      return false;
    }
    (before != nullptr ? before->next_ready_ : first_) = node.next_ready_;
    if (last_ == &node) {
      last_ = before;
    }
    --size_;
    return true;
  }

  /// Takes out all, as idle: nobody finds them waiting any more.
  ready_queue take_all() noexcept {
    for (schedule_node* at = first_; at != nullptr; at = at->next_ready_) {
      at->place_ = schedule_node::place::idle;
    }
    return std::exchange(*this, {});
  }

  [[nodiscard]] schedule_node& front() const noexcept { return *first_; }
  schedule_node& pop_front() noexcept {
    schedule_node& node = *first_;
    first_ = node.next_ready_;
    if (first_ == nullptr) {
      last_ = nullptr;
    }
    --size_;
    return node;
  }

 private:
  schedule_node* first_ = nullptr;
  schedule_node* last_ = nullptr;
  std::size_t size_ = 0;
  static constexpr std::size_t longest_searched = 1024;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_SCHEDULE_NODE_HPP
