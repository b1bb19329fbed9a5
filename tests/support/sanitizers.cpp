// What ThreadSanitizer can't see, for every test program; nothing under any other compiler flag.
#if defined(__SANITIZE_THREAD__)
#define ASYNC_TIMER_TESTS_UNDER_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASYNC_TIMER_TESTS_UNDER_TSAN
#endif
#endif

#if defined(ASYNC_TIMER_TESTS_UNDER_TSAN)
// Asio counts the references of a type-erased executor with a release decrement and an acquire
// fence before the delete; ThreadSanitizer doesn't understand fences and reports the delete.
// std::exception_ptr counts inside the standard library's binary, which is not instrumented: the
// delete after the last release is reported against the last reader of the exception. Of that
// binary a report shows the one function that called delete: for the text that a runtime_error
// keeps this is its destructor.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:~shared_target_executor\n"
         "race:execution::detail::any_executor_base::destroy_shared\n"
         "race:asio::detail::ref_count_down\n"
         "race:std::__exception_ptr::exception_ptr::_M_release\n"
         "race:std::runtime_error::~runtime_error\n";
}
#endif
