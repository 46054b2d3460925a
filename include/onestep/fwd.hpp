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

struct angle_grid;
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
struct unet_options;
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

struct consistency_preconditioned;
struct scaled_velocity;

struct constant_levels;
struct cosine_interpolated;
struct doubling;
struct gap_schedule;
struct log_logistic;
struct log_normal_level;
struct log_uniform;
struct mode_density;
struct square_root_levels;
struct uniform_angle;
struct uniform_below;
struct uniform_level;

struct average_velocity;

struct jump;

struct adaptive_average;
struct adaptive_squared;
struct along_data;
struct by_differences;
struct by_jvp;
struct by_quotient;
struct clamped_tangent;
struct conditional_path;
struct consistency_distillation_options;
struct constant_average;
struct continuous_consistency_options;
struct cosmap_weight;
struct edm_weight;
struct inverse_gap;
struct inverse_noise_level;
struct k_steps;
struct likelihood_weight;
struct live_average;
struct matching_weight;
struct mean_flow_options;
struct min_snr;
struct moment_matching_options;
struct network_output;
struct no_average;
struct norm_tangent;
struct p2_weight;
struct plain_tangent;
struct progressive_steps;
struct rms_tangent;
struct shortcut_training;
struct sigma_sqrt_weight;
struct snr_plus_one;
struct snr_weight;
struct soft_min_snr;
struct trajectory_consistency_options;
struct truncated_snr;
struct unit_weight;

struct average_options;
struct linear_rate;
struct progressive_options;
struct reflow_options;

}  // namespace onestep
