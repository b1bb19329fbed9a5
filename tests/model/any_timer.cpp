// Every shape of timer behind one interface; where the library's templates are instantiated.
#include "model/any_timer.hpp"

#include <async_timer/testing.hpp>
#include <type_traits>

#include "model/targets.hpp"

namespace model {

void op_handler::operator()(std::exception_ptr error,
                            const std::vector<async_timer::group_result>& results) const {
  tell(error, error ? outcome{} : owner->list_of(op, results));
}
void op_handler::tell(const std::exception_ptr& error, const outcome& seen) const {
  owner->completed(op, error, seen);
}

std::int64_t code_of_failure(const std::exception_ptr& error) {
  if (!error) return 0;
  try {
    std::rethrow_exception(error);
  } catch (const failure& known) {
    return known.code;
  } catch (const async_timer::system_error& system) {
    return system.code() == net::error::operation_aborted ? aborted : aborted - 1;
  } catch (...) {
    return aborted - 1;
  }
}

namespace {

/// Says what is not as it should be.
template <class Seen, class Wanted>
void note(std::string& text, const char* what, const Seen& seen, const Wanted& wanted) {
  if (seen == static_cast<Seen>(wanted)) return;
  text += std::string(text.empty() ? "" : ", ") + what + " is " + std::to_string(seen) + ", not " +
          std::to_string(wanted);
}

template <class Feed>
class feed_of final : public any_feed {
 public:
  explicit feed_of(Feed&& feed) : feed_(std::move(feed)) {}
  void next(op_handler handler) override { feed_.next(std::move(handler)); }
  std::int64_t drop_oldest(std::int64_t n) override { return feed_.drop_oldest(n); }
  void close() override { feed_.close(); }
  bool closed() const override { return feed_.closed(); }
  void renew() override {
    Feed away(std::move(feed_));
    feed_ = std::move(away);
  }
  std::string differs(const feed_state& f) const override {
    std::string text;
    note(text, "qsize", feed_.qsize(), f.values.size());
    note(text, "dropped_count", feed_.dropped_count(), f.dropped);
    note(text, "closed", feed_.closed(), f.ended);
    return text;
  }

 private:
  Feed feed_;
};

template <class Timer>
class timer_of final : public any_timer {
  using value = async_timer::tick_value_t<typename Timer::value_type>;

 public:
  template <class Make>
  explicit timer_of(Make&& make) : own_(make()), at_(&*own_) {}

  void start(const net::any_io_executor& where) override {
    if constexpr (requires { at_->start(where); }) {
      at_->start(where);
    } else {
      at_->start();
    }
  }
  void request_stop() override { at_->request_stop(); }
  void set_delay(async_timer::interval delay) override { at_->set_delay(delay); }
  void renew() override {
    Timer away(std::move(*at_));
    *at_ = std::move(away);
  }
  bool assign(any_timer& other) override {
    auto* const same = dynamic_cast<timer_of*>(&other);
    if (same != nullptr) *at_ = std::move(*same->at_);
    return same != nullptr;
  }
  void add_to(async_timer::timer_group& group) override {
    at_ = &group.add(std::move(*at_));
    own_.reset();
  }
  void join(op_handler handler) override { at_->join(std::move(handler)); }
  void next(op_handler handler) override { at_->next(std::move(handler)); }
  void wait(async_timer::wait_options options, op_handler handler) override {
    at_->wait(options, std::move(handler));
  }
  void trigger(op_handler handler) override { at_->trigger(std::move(handler)); }
  void cancel(op_handler handler) override { at_->cancel(std::move(handler)); }
  void poll_cancel() override { at_->cancel_threadsafe(std::chrono::seconds(0)); }
  void poll_trigger() override { at_->trigger_threadsafe(std::chrono::seconds(0)); }
  std::unique_ptr<any_feed> subscribe(const async_timer::subscription_options& options,
                                      bool shared) override {
    if constexpr (std::is_same_v<value, std::string>) {
      if (shared) return wrapped(at_->subscribe_shared(options));
    }
    return wrapped(at_->subscribe(options));
  }
  async_timer::timer_ref ref() const override { return at_->ref(); }

  std::string differs(const timer_state& t) const override {
    const auto shot = at_->snapshot();
    const auto last = at_->last_result();
    const auto at = at_->last_tick_at();
    const auto failed_at = at_->last_failure_at();
    std::string text;
    note(text, "is_running", at_->is_running(), t.is_running());
    note(text, "hit_count", at_->hit_count(), t.hit_count);
    note(text, "last_result", last ? code_of(*last) : -1, t.hit_count > 0 ? t.last_code : -1);
    note(text, "last_tick_at", at ? count_of(*at) : -1, t.hit_count > 0 ? t.last_tick_at : -1);
    note(text, "failure_count", at_->failure_count(), t.failure_count);
    note(text, "last_failure", code_of_last(shot.last_failure), t.last_failure);
    note(text, "last_failure_at", failed_at ? count_of(*failed_at) : 0, t.last_failure_at);
    note(text, "delay", at_->delay().count(), t.delay);
    note(text, "snapshot is_running", shot.is_running, t.is_running());
    note(text, "snapshot hit_count", shot.hit_count, t.hit_count);
    note(text, "snapshot failure_count", shot.failure_count, t.failure_count);
    const bool same = shot.last_result == last && shot.last_tick_at == at;
    note(text, "snapshot is of one moment", same, true);
    return text;
  }

 private:
  template <class Feed>
  static std::unique_ptr<any_feed> wrapped(Feed&& feed) {
    return std::make_unique<feed_of<Feed>>(std::move(feed));
  }
  /// Asks the exception only once, since throwing takes long.
  std::int64_t code_of_last(const std::exception_ptr& error) const {
    if (error != known_) {
      known_ = error;
      known_code_ = code_of_failure(error);
    }
    return known_code_;
  }

  std::optional<Timer> own_;
  Timer* at_;
  mutable std::exception_ptr known_;
  mutable std::int64_t known_code_ = 0;
};

/// Makes the handle in place: a timer can be moved, but that is to be left to the program.
template <class Timer, class... Arguments>
std::unique_ptr<any_timer> made(Arguments&&... arguments) {
  return std::make_unique<timer_of<Timer>>(
      [&] { return Timer(std::forward<Arguments>(arguments)...); });
}

}  // namespace

std::unique_ptr<any_timer> make_any_timer(shape kind, host& owner, int id,
                                          const net::any_io_executor& executor,
                                          async_timer::interval delay,
                                          async_timer::timer_options options) {
  using async_timer::timer;
  using namespace std::chrono_literals;
  const auto alive = owner.token_of(id);
  host* const w = &owner;
  switch (kind) {
    case shape::plain_int:
      return made<timer<int>>(executor, delay, plain_target<int>{w, id, alive}, options);
    case shape::plain_void:
      return made<timer<void>>(executor, delay, plain_target<void>{w, id, alive}, options);
    case shape::plain_text:
      return made<timer<std::string>>(executor, delay, plain_target<std::string>{w, id, alive},
                                      options);
    case shape::awaitable_int:
      return made<timer<int>>(executor, delay, awaitable_target<int>{w, id, alive}, options);
    case shape::awaitable_void:
      return made<timer<void>>(executor, delay, awaitable_target<void>{w, id, alive}, options);
    case shape::awaitable_text:
      return made<timer<std::string>>(executor, delay, awaitable_target<std::string>{w, id, alive},
                                      options);
    case shape::range_int:
      return made<timer<int>>(executor, delay, range_target<int>(w, id, alive), options);
    case shape::makes_range_text:
      return made<timer<std::string>>(executor, delay,
                                      maker<range_target<std::string>>{w, id, alive}, options);
    case shape::async_generator_int:
      return made<timer<int>>(executor, delay, async_generator_target<int>{w, id, alive}, options);
    case shape::makes_async_generator_int:
      return made<timer<int>>(executor, delay, maker<async_generator_target<int>>{w, id, alive},
                              options);
    case shape::mock_int:
      return std::make_unique<timer_of<async_timer::mock_timer<int>>>([&] {
        async_timer::mock_timer<int> mock(executor, delay, plain_target<int>{w, id, alive},
                                          options);
        mock.on_sleep([w, id](std::chrono::nanoseconds slept) { w->slept(id, slept); });
        return mock;
      });
    case shape::every_int:
      break;
  }
  return made<async_timer::every_timer<plain_target<int>>>(
      async_timer::every(delay, options)(plain_target<int>{w, id, alive}));
}

std::optional<std::int64_t> code_of(shape kind, const async_timer::group_outcome& value) {
  const auto as = [&]<class T>(std::type_identity<T>) -> std::optional<std::int64_t> {
    const auto held = value.as<T>();
    return held ? std::optional(code_of(*held)) : std::nullopt;
  };
  switch (kind) {
    case shape::plain_void:
    case shape::awaitable_void:
      return as(std::type_identity<void>{});
    case shape::plain_text:
    case shape::awaitable_text:
    case shape::makes_range_text:
      return as(std::type_identity<std::string>{});
    default:
      return as(std::type_identity<int>{});
  }
}

}  // namespace model
