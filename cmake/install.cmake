# The package: headers, one export set for onestep::onestep and one for each optional part, pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
# Nothing in the package depends on an architecture.
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/onestep)

install(TARGETS onestep EXPORT onestepTargets FILE_SET HEADERS FILE_SET io FILE_SET gpu FILE_SET mpi)
install(TARGETS onestep_io EXPORT onestepIoTargets)
install(TARGETS onestep_thrust_omp onestep_thrust_cpp EXPORT onestepThrustTargets)
install(TARGETS onestep_gpu EXPORT onestepGpuTargets)
install(TARGETS onestep_mpi EXPORT onestepMpiTargets)
foreach(set IN ITEMS onestepTargets onestepIoTargets onestepThrustTargets onestepGpuTargets onestepMpiTargets)
  install(EXPORT ${set} NAMESPACE onestep:: DESTINATION ${package_dir})
endforeach()

configure_package_config_file(cmake/onestepConfig.cmake.in "${PROJECT_BINARY_DIR}/onestepConfig.cmake" INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/onestepConfigVersion.cmake" COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/onestepConfig.cmake" "${PROJECT_BINARY_DIR}/onestepConfigVersion.cmake"
  cmake/FindStbHeaders.cmake cmake/FindThrustHeaders.cmake DESTINATION ${package_dir})

configure_file(cmake/onestep.pc.in "${PROJECT_BINARY_DIR}/onestep.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/onestep.pc" DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
