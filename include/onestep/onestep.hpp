#pragma once
/// Everything but files: processes, targets, networks, objectives, training, samplers, evaluation, and the CPU backend
/// (under a CUDA compiler the GPU backend). File formats are included one by one, since each brings a library of its own:
/// io/idx.hpp (zlib), io/image.hpp (stb), io/npy.hpp, io/curve.hpp, io/safetensors.hpp and train/checkpoint.hpp (JSON).
#if defined(__CUDACC__)
#include "backend/gpu.hpp"
#else
#include "backend/cpu.hpp"
#endif
#include "backend/random_fill.hpp"
#include "evaluation/energy_distance.hpp"
#include "evaluation/sliced_wasserstein.hpp"
#include "evaluation/straightness.hpp"
#include "model/model.hpp"
#include "network/check.hpp"
#include "network/conditioned.hpp"
#include "network/mlp.hpp"
#include "objective/accumulate.hpp"
#include "objective/flow_matching.hpp"
#include "objective/one_step_distillation.hpp"
#include "process/rectified_flow.hpp"
#include "sampler/euler.hpp"
#include "sampler/heun.hpp"
#include "sampler/rk4.hpp"
#include "sampler/sample.hpp"
#include "target/epsilon.hpp"
#include "target/velocity.hpp"
#include "target/x0.hpp"
#include "time/density.hpp"
#include "time/grid.hpp"
#include "train/batches.hpp"
#include "train/reflow_pairs.hpp"
#include "train/trainer.hpp"
#include "version.hpp"
