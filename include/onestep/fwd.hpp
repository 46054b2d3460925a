#pragma once
/// Declarations without definitions, for headers that only name these types. Compiles in next to no time.

namespace onestep {

class shape;
template <class T, class Backend> class view;
template <class T, class Backend> class tensor;
struct random_key;
struct random_stream;

class cpu;
class gpu;

struct rectified_flow;
struct epsilon;
struct x0;
struct velocity;
struct uniform_grid;
struct uniform_density;
struct logit_normal;

struct mlp_options;
struct euler;
struct heun;
struct rk4;
struct adam;
struct adamw;
struct constant_rate;
struct cosine_rate;
struct squared;
struct pseudo_huber;

}  // namespace onestep
