# What `cmake --install` puts where: programs; libevenkeel.a with its headers under include/evenkeel/partition; the probe's shared
# library with include/evenkeel/probe.h; and what CMake and pkg-config need to find both.
include(CMakePackageConfigHelpers)

if(EVENKEEL_PROGRAMS)
  install(TARGETS evenkeel evenkeel-agent evenkeel-rebalancer evenkeel-stand-in RUNTIME)
endif()
install(TARGETS evenkeel_headers evenkeel_planner evenkeel_probe_c EXPORT evenkeel-targets)
install(FILES ${PROJECT_SOURCE_DIR}/agents/probe/probe.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/evenkeel)
set(planner_headers ${CMAKE_INSTALL_INCLUDEDIR}/evenkeel/partition)
install(FILES ${PROJECT_SOURCE_DIR}/partition/place.h DESTINATION ${planner_headers})
# Without those that show Eigen's types.
foreach(room foundation model cost problem)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/partition/${room} DESTINATION ${planner_headers}
    FILES_MATCHING PATTERN *.h PATTERN multiplier.h EXCLUDE PATTERN singular_values.h EXCLUDE)
endforeach()

set(packages ${CMAKE_INSTALL_LIBDIR}/cmake/evenkeel)
install(EXPORT evenkeel-targets NAMESPACE evenkeel:: DESTINATION ${packages})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/evenkeel-config.cmake.in ${PROJECT_BINARY_DIR}/evenkeel-config.cmake
  INSTALL_DESTINATION ${packages})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/evenkeel-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/evenkeel-config.cmake ${PROJECT_BINARY_DIR}/evenkeel-config-version.cmake DESTINATION ${packages})

# pkg-config: by the place of the files themselves, so that the prefix may be moved.
set(pkgconfig ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH EVENKEEL_PREFIX_FROM_PKGCONFIG /${pkgconfig} /)
list(TRANSFORM c_libraries PREPEND -l OUTPUT_VARIABLE EVENKEEL_C_LIBRARIES)
list(JOIN EVENKEEL_C_LIBRARIES " " EVENKEEL_C_LIBRARIES)
foreach(package evenkeel evenkeel-probe)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${package}.pc.in ${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${package}.pc DESTINATION ${pkgconfig})
endforeach()
