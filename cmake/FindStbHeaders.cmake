# The folder of stb_image_write.h, as target stb::headers.
find_path(StbHeaders_INCLUDE_DIR stb_image_write.h PATH_SUFFIXES stb)
mark_as_advanced(StbHeaders_INCLUDE_DIR)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(StbHeaders REQUIRED_VARS StbHeaders_INCLUDE_DIR)
if(StbHeaders_FOUND AND NOT TARGET stb::headers)
  add_library(stb::headers INTERFACE IMPORTED)
  target_include_directories(stb::headers INTERFACE "${StbHeaders_INCLUDE_DIR}")
endif()
