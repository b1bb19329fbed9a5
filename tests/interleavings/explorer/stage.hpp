// Runs the threads of a test one at a time: who has the turn runs, up to the next point, where a
// strategy says who has it next. There is one stage at a time in a process.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_STAGE_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_STAGE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "interleavings/explorer/baton.hpp"
#include "interleavings/explorer/strategy.hpp"

namespace interleaving {

class stage {
 public:
  /// @param fatal  is told why no execution can go on; does not return
  explicit stage(std::function<void(const std::string&)> fatal);
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;
  ~stage();

  /// Begins an execution.
  void begin(strategy& by, std::size_t most_steps);
  /// Runs the bodies as actors until all have returned.
  void run(std::span<const std::function<void()>> bodies);
  [[nodiscard]] const trace& steps() const { return steps_; }

  // --- called by actors; by any other thread without effect
  static void point(bool after_release);
  /// Blocks until wake(on); the second one: or at any moment, as a timeout does.
  static void block(const void* on, std::string_view what);
  static void block_with_timeout(const void* on);
  static void wake(const void* on, bool all);
  /// Says that this actor has nothing to do until others have posted something; false if nobody
  /// ever will.
  static bool rest();
  /// Says that this actor has posted something, perhaps.
  static void note_post();
  /// Calls what finds out whether there is something to do; when there was not, it was no post.
  template <class Poll>
  static std::size_t poll(Poll&& function) {
    const auto before = posts();
    const std::size_t done = function();
    if (done == 0) set_posts(before);
    return done;
  }
  /// Counts the locks of others than us that this actor holds, at which it has no points.
  static void note_foreign_lock(int more);
  [[nodiscard]] static bool is_actor();

 private:
  enum class state : std::uint8_t { ready, blocked, timed, resting, finished };
  struct player {
    baton turn;
    std::thread thread;
    const std::function<void()>* body = nullptr;
    state at = state::finished;
    const void* waits_on = nullptr;
    std::string_view waits_for;
    std::uint64_t posts_seen = 0;
    int foreign_locks = 0;
  };

  static std::uint64_t posts();
  static void set_posts(std::uint64_t to);
  void live(actor me);
  [[nodiscard]] bool may_run(const player& p) const;
  actor next(bool after_release);
  void pass_on(bool after_release = false);
  void wait_as(state how, const void* on, std::string_view what);
  [[nodiscard]] std::string who_waits() const;

  const std::function<void(const std::string&)> fatal_;
  std::array<player, most_actors> players_;
  baton director_;
  std::size_t cast_ = 0;  ///< how many act
  actor running_ = 0;
  bool closing_ = false;
  bool over_ = false;  ///< nobody but who rests is left
  std::uint64_t posts_ = 0;
  strategy* strategy_ = nullptr;
  trace steps_;
  std::size_t most_steps_ = 0;
};

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_STAGE_HPP
