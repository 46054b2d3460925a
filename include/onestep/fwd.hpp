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

struct marginal;
struct noise_table;
struct beta_table;
struct constant_schedule;
struct cosine_schedule;
struct exponential_schedule;
struct linear_schedule;
struct scaled_linear_schedule;
struct sigmoid_beta_schedule;
struct sigmoid_schedule;
struct cosine_signal;
struct linear_beta;
struct log_snr_cosine;

struct cosine_flow;
struct edm;
struct rectified_flow;
struct trigonometric_flow;
struct variance_exploding;

struct epsilon;
struct x0;
struct velocity;
struct v_prediction;
struct score;
struct edm_preconditioned;
struct trig_velocity;

struct cosine_density;
struct discrete_density;
struct explicit_grid;
struct exponential_grid;
struct karras_grid;
struct leading_grid;
struct linspace_grid;
struct log_normal;
struct log_snr_grid;
struct logit_normal;
struct power_grid;
struct shifted_grid;
struct sigma_grid;
struct trailing_grid;
struct u_shaped;
struct uniform_density;
struct uniform_grid;

struct mlp_options;
struct ancestral;
struct clip;
struct ddim;
struct dpm_solver_2m;
struct dpm_solver_2s;
struct dpm_solver_3m;
struct dpm_solver_3s;
struct dpm_solver_sde;
struct dynamic_threshold;
struct edit_options;
struct edm_stochastic;
struct euler;
struct euler_ancestral;
struct euler_maruyama;
struct exponential_adams;
struct heun;
struct learned_ancestral;
struct midpoint;
struct predictor_corrector;
struct rk4;
struct rk45;
struct unipc;
struct guidance;
struct inpainting_options;
struct adam;
struct adamw;
struct constant_rate;
struct cosine_rate;
struct squared;
struct pseudo_huber;

}  // namespace onestep
