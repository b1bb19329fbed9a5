# Finds standalone Asio, which comes without a package of its own on most systems.
#
# Result: Asio_FOUND, Asio_VERSION, Asio_INCLUDE_DIR and the target Asio::Asio.
find_path(Asio_INCLUDE_DIR NAMES asio.hpp)
mark_as_advanced(Asio_INCLUDE_DIR)

if(Asio_INCLUDE_DIR AND EXISTS "${Asio_INCLUDE_DIR}/asio/version.hpp")
  file(STRINGS "${Asio_INCLUDE_DIR}/asio/version.hpp" _asio_version
       REGEX "^#define ASIO_VERSION [0-9]+")
  # Three parts, as the comment behind the number says: 102201 // 1.22.1
  string(REGEX MATCH "[0-9]+" _asio_version "${_asio_version}")
  math(EXPR _asio_major "${_asio_version} / 100000")
  math(EXPR _asio_minor "${_asio_version} / 100 % 1000")
  math(EXPR _asio_patch "${_asio_version} % 100")
  set(Asio_VERSION ${_asio_major}.${_asio_minor}.${_asio_patch})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Asio
  REQUIRED_VARS Asio_INCLUDE_DIR
  VERSION_VAR Asio_VERSION)

if(Asio_FOUND AND NOT TARGET Asio::Asio)
  add_library(Asio::Asio INTERFACE IMPORTED)
  target_include_directories(Asio::Asio INTERFACE "${Asio_INCLUDE_DIR}")
  target_compile_definitions(Asio::Asio INTERFACE ASIO_STANDALONE)
  if(Asio_VERSION VERSION_LESS 1.24)
    # Up to there Asio knows only the coroutines TS for clang and switches coroutines off.
    target_compile_definitions(
      Asio::Asio
      INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,Clang>:ASIO_HAS_CO_AWAIT=1>
                $<$<COMPILE_LANG_AND_ID:CXX,Clang>:ASIO_HAS_STD_COROUTINE=1>)
  endif()
endif()
