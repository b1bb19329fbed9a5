// The templates of world.hpp.
#ifndef ASYNC_TIMER_TESTS_MODEL_WORLD_TEMPLATES_HPP
#define ASYNC_TIMER_TESTS_MODEL_WORLD_TEMPLATES_HPP

#include <stdexcept>

#include "model/world.hpp"

namespace model {

template <class Function>
void world::quietly(Function&& function) {
  ++operations_;
  ++calls_in_library_;
  function();
  --calls_in_library_;
}

template <class Function>
std::string world::error_of(Function&& function) {
  try {
    function();
    return "";
  } catch (const std::invalid_argument&) {
    return "invalid";
  } catch (const async_timer::timer_already_running_error&) {
    return "already_running";
  } catch (const async_timer::timer_restart_error&) {
    return "restart";
  } catch (const async_timer::threadsafe_dispatch_error&) {
    return "dispatch";
  } catch (const async_timer::timer_not_running_error&) {
    return "not_running";
  } catch (const async_timer::timeout_error&) {
    return "timeout";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_WORLD_TEMPLATES_HPP
