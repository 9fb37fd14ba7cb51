# A folder is a room, and a room is one static library. Two libraries share a folder where some users must not link the other's
# half: agents/agent (the state of an agent, and its sockets), agents/replay (settings, and what replays), agents/probe (for the
# agent, and as a shared library for engines), partition/ itself (place(), and the planner for others). main.cc is a program.
# Includes are rooted at the repository: "partition/model/placement.h".

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# What our headers ask of whoever includes them.
add_library(evenkeel_headers INTERFACE)
target_compile_features(evenkeel_headers INTERFACE cxx_std_20)
target_compile_definitions(evenkeel_headers INTERFACE $<BUILD_INTERFACE:SPDLOG_FMT_EXTERNAL> $<BUILD_INTERFACE:MSGPACK_NO_BOOST>)
target_include_directories(evenkeel_headers INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/evenkeel>)

# What our own sources are compiled with. Users of the libraries choose their own warnings.
add_library(evenkeel_compile_options INTERFACE)
target_link_libraries(evenkeel_compile_options INTERFACE evenkeel_headers)
target_compile_options(evenkeel_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  # g++ 12 at -O3 reports overlaps and overflows inside std::string and fmt 9 that are not there (GCC bug 105329 and its kin).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow>
  -fstack-protector-strong)
if(CMAKE_UNITY_BUILD)
  # g++ takes a source file that another one includes for a header, which must not show an anonymous namespace.
  target_compile_options(evenkeel_compile_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
target_compile_definitions(evenkeel_compile_options INTERFACE $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>)
if(EVENKEEL_SANITIZE)
  target_compile_options(evenkeel_compile_options INTERFACE -fsanitize=${EVENKEEL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(evenkeel_compile_options INTERFACE -fsanitize=${EVENKEEL_SANITIZE})
  if(EVENKEEL_SANITIZE MATCHES thread)
    # ThreadSanitizer does not see fences and GCC refuses them under it; Asio has its queues' mutexes beside them.
    target_compile_definitions(evenkeel_compile_options INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

# evenkeel_optimise_less(NAME): for what is measured nowhere in time. It compiles in two thirds of the time.
function(evenkeel_optimise_less name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# evenkeel_library(NAME [COLD] SOURCES a.cc ... [PUBLIC dep ...] [PRIVATE dep ...]); COLD: evenkeel_optimise_less().
function(evenkeel_library name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC evenkeel_headers ${ARG_PUBLIC} PRIVATE evenkeel_compile_options ${ARG_PRIVATE})
  if(ARG_COLD)
    evenkeel_optimise_less(${name})
  endif()
endfunction()

# evenkeel_program(NAME [COLD] SOURCES a.cc ... LINK dep ...)
function(evenkeel_program name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE evenkeel_compile_options ${ARG_LINK})
  target_compile_definitions(${name} PRIVATE EVENKEEL_VERSION="${PROJECT_VERSION}")
  if(ARG_COLD)
    evenkeel_optimise_less(${name})
  endif()
endfunction()
