// The shapes that later parts stand on; it needs to compile, one block for each seam of
// docs/design.md.
#include <async_timer/async_timer.hpp>
#include <async_timer/base/inside_scope.hpp>
#include <async_timer/core/schedule.hpp>
#include <async_timer/scheduler/time_source.hpp>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

namespace {

namespace net = async_timer::net;
namespace detail = async_timer::detail;

// Type-erased core: groups, timer_ref and mock timers hold any timer as this.
static_assert(std::derived_from<detail::value_core<int>, detail::timer_core>);
static_assert(std::derived_from<detail::value_core<void>, detail::timer_core>);
static_assert(std::has_virtual_destructor_v<detail::timer_core>);
static_assert(requires(detail::timer_core& core) {
  core.start();
  core.request_stop();
  { core.is_running() } -> std::same_as<bool>;
  { core.reference() } -> std::same_as<async_timer::timer_ref>;
});
// `every` binds the executor at start.
static_assert(requires(detail::timer_core& core, async_timer::base::ref_ptr<detail::lane> lane) {
  core.start(lane);
});

// Hooks at delivery and at the end of a run: what a tick passes through, once, in a typed core.
struct hooked_core : detail::value_core<int> {
  using base = detail::value_core<int>;
  std::optional<detail::rearm> tick(detail::published<int> value) { return base::deliver(value); }
  void finish() { base::end_run(nullptr); }
};
static_assert(std::is_abstract_v<hooked_core>);

// Inside-the-target detection: by the handler's executor or by the calling code.
static_assert(requires(const detail::timer_core& core, const net::any_io_executor& executor) {
  { core.is_inside(detail::owner_of(executor)) } -> std::same_as<bool>;
  async_timer::base::inside_scope(&core);
});

// The claim protocol: a new kind of waiter is an outcome; the handler is added around it.
class every_tick_waiter : public detail::operation {
 public:
  bool claim_to_cancel() noexcept override { return false; }

 protected:
  bool may_complete() noexcept { return true; }
  auto take() noexcept {
    return [](auto& handler) { std::move(handler)(std::exception_ptr()); };
  }
};
using any_handler = void (*)(std::exception_ptr);
static_assert(
    std::derived_from<detail::operation_with<every_tick_waiter, any_handler>, detail::operation>);

// The value policy: in place, shared, or nothing.
static_assert(sizeof(detail::published<int>) == sizeof(int));
static_assert(sizeof(detail::published<std::string>) == sizeof(std::shared_ptr<const std::string>));
static_assert(std::is_empty_v<detail::published<std::monostate>>);

// The schedule concept: a user's own `next(after)`.
struct business_hours {
  std::optional<async_timer::core::time_point> next(async_timer::core::time_point after) {
    return after;
  }
};
static_assert(async_timer::core::schedule<business_hours>);

// The time source: real, or moved by somebody.
static_assert(requires(detail::time_source& source, async_timer::core::time_point now) {
  source.set_virtual(now);
  { source.now() } -> std::same_as<async_timer::core::time_point>;
});

// A lane keeps what a higher room needs for an executor.
struct extension : detail::lane_extension {};
static_assert(requires(detail::lane& lane) { lane.with_extension<extension>([](extension*) {}); });

}  // namespace
