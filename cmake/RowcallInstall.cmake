# `cmake --install`: the libraries with their public headers, the programs, and a package for find_package(rowcall), which
# gives rowcall::engine, rowcall::storage_postgres, rowcall::bus, rowcall::client, rowcall::actors and the rest by name.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(rowcall_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rowcall")

get_property(rowcall_libraries GLOBAL PROPERTY ROWCALL_LIBRARIES)
install(TARGETS ${rowcall_libraries} EXPORT rowcall-targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT rowcall-targets NAMESPACE rowcall:: FILE rowcallTargets.cmake DESTINATION "${rowcall_package_dir}")

# Included as in the repository: #include "engine/module.hpp". What lies under internal/ stays here.
install(DIRECTORY engine storage bus client gateway actors DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/rowcall"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "internal" EXCLUDE PATTERN "migrations" EXCLUDE PATTERN "queries" EXCLUDE)
# The command line as a library, for an executable that serves modules of one's own.
install(FILES tools/rowcall/main.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/rowcall/tools/rowcall")

foreach(program IN ITEMS rowcall rowcall-loadgen)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  endif()
endforeach()
install(FILES LICENSE rowcall.example.conf docs/operations.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/operations DESTINATION "${CMAKE_INSTALL_DOCDIR}")

configure_package_config_file(cmake/rowcallConfig.cmake.in "${PROJECT_BINARY_DIR}/rowcallConfig.cmake"
  INSTALL_DESTINATION "${rowcall_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/rowcallConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/rowcallConfig.cmake" "${PROJECT_BINARY_DIR}/rowcallConfigVersion.cmake" cmake/FindCAF.cmake
  DESTINATION "${rowcall_package_dir}")
