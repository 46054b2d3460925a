#pragma once
#include "lab.hpp"

namespace images {

/// The trained flow that other methods start from: of --teacher, or of OUT/teacher.safetensors, which is trained first if it is missing.
network teacher(lab& l);

}  // namespace images
