// Where the ticks of some timers run: an executor, shared by all timers that came with it, so that
// a timer pays eight bytes for it. Holds the executor's work only while one of its timers runs.
#ifndef ASYNC_TIMER_SCHEDULER_LANE_HPP
#define ASYNC_TIMER_SCHEDULER_LANE_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class scheduler;

/// Is what higher rooms keep for a lane; dropped when its last timer stops and at shutdown.
class lane_extension {
 public:
  lane_extension() = default;
  lane_extension(const lane_extension&) = delete;
  lane_extension& operator=(const lane_extension&) = delete;
  virtual ~lane_extension() = default;
};

class lane {
 public:
  /// Is what a run leaves here, or needs no more; to be destroyed with no lock held, since the end
  /// of an executor may use the library.
  struct leftovers {
    net::any_io_executor work{};
    std::unique_ptr<lane_extension> extension{};
  };

  lane(std::shared_ptr<scheduler> owner, net::any_io_executor executor)
      : scheduler_(std::move(owner)),
        executor_(std::move(executor)),
        runs_inline_(is_context_executor(executor_)) {}
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  void add_ref() noexcept { references_.add(); }
  void release() noexcept;

  [[nodiscard]] scheduler& owner() const noexcept { return *scheduler_; }
  /// Is empty once the context is gone.
  [[nodiscard]] net::any_io_executor executor() const {
    const std::scoped_lock lock(executor_lock_);
    return has_lost_context_ ? net::any_io_executor() : executor_;
  }
  /// Tells whether ticks may run in the scheduler's own turns.
  [[nodiscard]] bool runs_inline() const noexcept { return runs_inline_; }

  /// Gives access to what a higher room keeps here, made by `make` on first use, under a lock.
  ///
  /// @param use  gets the extension, or null while no timer of the lane runs.
  template <class Extension, class Use>
  void with_extension(Use&& use) {
    const std::scoped_lock lock(extension_lock_);
    if (!closed_ && extension_ == nullptr) {
      extension_ = std::make_unique<Extension>();
    }
    use(static_cast<Extension*>(extension_.get()));
  }

 private:
  friend class scheduler;
  ~lane() = default;

  void lose_context() noexcept {
    const std::scoped_lock lock(executor_lock_);
    has_lost_context_ = true;
  }
  net::any_io_executor take_executor() noexcept {
    const std::scoped_lock lock(executor_lock_);
    return std::exchange(executor_, {});
  }
  std::unique_ptr<lane_extension> take_extension(bool closed) noexcept {
    const std::scoped_lock lock(extension_lock_);
    closed_ = closed;
    return std::move(extension_);
  }

  base::reference_count references_;
  std::shared_ptr<scheduler> scheduler_;
  mutable base::word_lock executor_lock_;  // handles may read while the context goes away
  net::any_io_executor executor_;
  bool has_lost_context_ = false;
  const bool runs_inline_;

  base::word_lock extension_lock_;
  std::unique_ptr<lane_extension> extension_;
  bool closed_ = true;

  // Guarded by the scheduler's mutex.
  std::size_t running_ = 0;
  net::any_io_executor work_;
  lane* prev_ = nullptr;
  lane* next_ = nullptr;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_LANE_HPP
