#pragma once
/// The one place where the version is written; CMake reads it from here.
#define ONESTEP_VERSION_MAJOR 0
#define ONESTEP_VERSION_MINOR 1
#define ONESTEP_VERSION_PATCH 0
