# One folder = one library = one target. Includes are rooted at the repository: "partition/model/placement.h".

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(evenkeel_compile_options INTERFACE)
target_compile_options(evenkeel_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  # g++ 12 at -O3 reports overlaps and overflows inside std::string and fmt 9 that are not there (GCC bug 105329 and its kin).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow>
  -fstack-protector-strong)
target_compile_definitions(evenkeel_compile_options INTERFACE
  SPDLOG_FMT_EXTERNAL MSGPACK_NO_BOOST $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>)
target_include_directories(evenkeel_compile_options INTERFACE ${CMAKE_SOURCE_DIR})
if(EVENKEEL_SANITIZE)
  target_compile_options(evenkeel_compile_options INTERFACE -fsanitize=${EVENKEEL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(evenkeel_compile_options INTERFACE -fsanitize=${EVENKEEL_SANITIZE})
  if(EVENKEEL_SANITIZE MATCHES thread)
    # ThreadSanitizer does not see fences and GCC refuses them under it; Asio has its queues' mutexes beside them.
    target_compile_definitions(evenkeel_compile_options INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

# evenkeel_library(NAME SOURCES a.cc ... [PUBLIC dep ...] [PRIVATE dep ...])
function(evenkeel_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC evenkeel_compile_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# evenkeel_program(NAME SOURCES a.cc ... LINK dep ...)
function(evenkeel_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE evenkeel_compile_options ${ARG_LINK})
  target_compile_definitions(${name} PRIVATE EVENKEEL_VERSION="${PROJECT_VERSION}")
endfunction()
