# Options of this project's own builds. Nothing here reaches a user of the library.
set(ASYNC_TIMER_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'")
option(ASYNC_TIMER_COVERAGE "Record coverage with gcov" OFF)
option(ASYNC_TIMER_FUZZ "Build the fuzz targets with libFuzzer; needs clang" OFF)
option(ASYNC_TIMER_WERROR "Warnings are errors" ${PROJECT_IS_TOP_LEVEL})
set(ASYNC_TIMER_TEST_BACKENDS "boost;standalone" CACHE STRING "Backends that tests are built for")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(ASYNC_TIMER_CCACHE ccache)
  mark_as_advanced(ASYNC_TIMER_CCACHE)
  if(ASYNC_TIMER_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ASYNC_TIMER_CCACHE})
  endif()
endif()
set(CMAKE_CXX_EXTENSIONS OFF)

add_library(async_timer_warnings INTERFACE)
target_compile_options(
  async_timer_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wnon-virtual-dtor
            -Wold-style-cast
            -Woverloaded-virtual
            -Wextra-semi
            -Wcast-align
            -Wunused
            -Wimplicit-fallthrough)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(
    async_timer_warnings INTERFACE -Wduplicated-cond -Wduplicated-branches -Wlogical-op)
endif()
if(ASYNC_TIMER_WERROR)
  target_compile_options(async_timer_warnings INTERFACE -Werror)
endif()

add_library(async_timer_dev_options INTERFACE)
target_link_libraries(async_timer_dev_options INTERFACE async_timer_warnings)
if(ASYNC_TIMER_SANITIZE)
  set(async_timer_sanitize -fsanitize=${ASYNC_TIMER_SANITIZE})
  target_compile_options(
    async_timer_dev_options
    INTERFACE ${async_timer_sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(async_timer_dev_options INTERFACE ${async_timer_sanitize})
  if(ASYNC_TIMER_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ warns of every atomic_thread_fence, the standard library's included.
    target_compile_options(async_timer_dev_options INTERFACE -Wno-tsan)
  endif()
endif()
if(ASYNC_TIMER_FUZZ)
  target_compile_options(async_timer_dev_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ASYNC_TIMER_COVERAGE)
  target_compile_options(async_timer_dev_options INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(async_timer_dev_options INTERFACE --coverage)
endif()
