# Builds and runs the consumer project one way. Called by ctest with -D way=find_package|add_subdirectory.
function(step)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# In a file, since a list does not survive a command line.
file(WRITE ${work}/cache.cmake "set(BACKENDS ${backends} CACHE STRING \"\" FORCE)\n")
set(options -C ${work}/cache.cmake -DCMAKE_CXX_COMPILER=${compiler}
            -DCMAKE_CXX_COMPILER_LAUNCHER=${launcher})
if(way STREQUAL "find_package")
  step(${CMAKE_COMMAND} --install ${library_build} --prefix ${work}/prefix)
  list(APPEND options -DCMAKE_PREFIX_PATH=${work}/prefix)
else()
  list(APPEND options -DASYNC_TIMER_SOURCE=${library_source})
endif()
step(${CMAKE_COMMAND} -G ${generator} -S ${CMAKE_CURRENT_LIST_DIR} -B ${work}/build ${options})
step(${CMAKE_COMMAND} --build ${work}/build)
foreach(backend IN LISTS backends)
  step(${work}/build/consumer_${backend})
endforeach()
