# `cmake --install`, in three components: the programs; the documents of who operates them; and for development the libraries with
# their public headers and a package for find_package(rowcall), which gives rowcall::engine, rowcall::storage_postgres, rowcall::bus,
# rowcall::client, rowcall::actors and the rest by name. What needs no library comes first: where only programs were built, they
# are installed before the first library is missed.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

install(TARGETS rowcall RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT programs)
install(TARGETS rowcall-loadgen RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT programs OPTIONAL)

# docs/ without what is for developers. A document's relative links lead to what is installed (tests/operations/documents_test.py).
install(FILES LICENSE rowcall.example.conf docs/operations.md docs/gateway.md docs/console.md docs/tuning.md
  DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT documents)
install(DIRECTORY docs/operations docs/gateway docs/decisions DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT documents)

set(rowcall_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rowcall")

get_property(rowcall_libraries GLOBAL PROPERTY ROWCALL_LIBRARIES)
install(TARGETS ${rowcall_libraries} EXPORT rowcall-targets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(EXPORT rowcall-targets NAMESPACE rowcall:: FILE rowcallTargets.cmake
  DESTINATION "${rowcall_package_dir}" COMPONENT development)

# Included as in the repository: #include "engine/module.hpp". What lies under internal/ stays here.
install(DIRECTORY engine storage bus client gateway actors
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/rowcall" COMPONENT development
  FILES_MATCHING PATTERN "*.hpp" PATTERN "internal" EXCLUDE PATTERN "migrations" EXCLUDE PATTERN "queries" EXCLUDE)
# The command line as a library, for an executable that serves modules of one's own.
install(FILES tools/rowcall/main.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/rowcall/tools/rowcall" COMPONENT development)

configure_package_config_file(cmake/rowcallConfig.cmake.in "${PROJECT_BINARY_DIR}/rowcallConfig.cmake"
  INSTALL_DESTINATION "${rowcall_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/rowcallConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/rowcallConfig.cmake" "${PROJECT_BINARY_DIR}/rowcallConfigVersion.cmake" cmake/FindCAF.cmake
  DESTINATION "${rowcall_package_dir}" COMPONENT development)
