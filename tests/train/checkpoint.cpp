#include <onestep/train/checkpoint.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/learned_weight.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <memory>

#include "../io/scratch.hpp"
#include "bare_network.hpp"
#include "older_self.hpp"

namespace checkpoint_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

mlp_options const small{.data = {2}, .width = 8, .blocks = 1, .time = {.size = 8}};
trainer_options const options{.batch = 16, .ema = 0.9, .clip = 1, .seed = 3};

/// All of one run.
template <class Target = velocity, class Objective = flow_matching<>, class Spec = adam, class Rate = constant_rate> struct run_of {
    mlp<float, cpu> net;
    onestep::model<mlp<float, cpu>&, rectified_flow, Target> flow;
    onestep::trainer<onestep::model<mlp<float, cpu>&, rectified_flow, Target>, Objective, Spec, Rate> trainer;
    tensor<float, cpu> data;

    explicit run_of(cpu& device, mlp_options const& network = small, trainer_options const& numbers = options, Spec const& spec = {},
                    Rate const& rate = {}, Objective const& objective = Objective())
        : net(device, network), flow(net, rectified_flow{}, Target{}), trainer(flow, objective, spec, numbers, rate),
          data(normal<float>(device, {40, 2}, 4)) {}

    std::vector<float> state() {
        auto all = to_host(net.parameters());
        for (auto const& part : {to_host(trainer.optimizer().first_moment()), to_host(trainer.optimizer().second_moment()),
                                 to_host(trainer.averaged().network().parameters())})
            all.insert(all.end(), part.begin(), part.end());
        auto const add = [&](std::vector<float> const& part) { all.insert(all.end(), part.begin(), part.end()); };
        if constexpr (decltype(trainer)::has_target) add(to_host(trainer.target().model().network().parameters()));
        if constexpr (decltype(trainer)::has_weight) {
            add(to_host(trainer.weight().parameters()));
            add(to_host(trainer.weight_optimizer().first_moment()));
            add(to_host(trainer.weight_optimizer().second_moment()));
        }
        for (index_t count : {trainer.step(), trainer.optimizer().updates(), trainer.average().updates()})
            all.push_back(static_cast<float>(count));
        return all;
    }
};

/// Resumes and expects an Error that leaves everything as it was; returns its text.
template <class Error, class Run> std::string refusal(std::string const& path, Run& run) {
    auto const before = run.state();
    std::string const text = message<Error>([&] { resume(path, run.trainer); });
    CHECK(run.state() == before);
    return text;
}

/// Writes a copy of a file after `change` has had its way with the metadata and tensors.
struct contents {
    std::map<std::string, std::string> metadata;
    std::map<std::string, std::pair<shape, std::vector<float>>> floats;
    std::map<std::string, std::pair<shape, std::vector<double>>> doubles;
};
template <class Change> void rewrite(std::string const& from, std::string const& to, Change&& change) {
    auto const file = safetensors_file::read(from);
    contents c;
    c.metadata = file.metadata();
    for (std::string const& name : file.names()) {
        auto const array = file.get<float>(name);
        c.floats[name] = {array.shape, array.values};
    }
    change(c);
    safetensors_writer writer;
    for (auto const& [key, value] : c.metadata) writer.metadata(key, value);
    for (auto const& [name, part] : c.floats) writer.add(name, part.first, part.second);
    for (auto const& [name, part] : c.doubles) writer.add(name, part.first, part.second);
    writer.save(to);
}

}  // namespace

TEST_CASE("checkpoint: a run that is saved, stopped and resumed ends with the bits of one that never was") {
    cpu device(1);
    scratch_folder folder;
    run_of<> whole(device);
    whole.trainer.run(whole.data, 23);
    for (index_t k : {0, 1, 9, 23}) {
        CAPTURE(k);
        run_of<> first(device);
        first.trainer.run(first.data, k);
        save_checkpoint(folder / "run", first.trainer);
        mlp_options elsewhere = small;
        elsewhere.seed = 99;  // another start is overwritten
        run_of<> second(device, elsewhere);
        CHECK(second.state() != first.state());
        resume(folder / "run", second.trainer);
        CHECK(second.state() == first.state());
        CHECK(second.trainer.step() == k);
        second.trainer.run(second.data, 23);
        CHECK(second.state() == whole.state());
    }
    CHECK(folder.entries() == 1);
}

/// An objective with all that a run can keep: an average that targets come from and a learned weight.
using keeps_both = learned_weighting<older_self>;

TEST_CASE("checkpoint: the average that targets come from and the learned weight are kept, and a run goes on with the same bits") {
    cpu device(1);
    scratch_folder folder;
    keeps_both const objective{older_self{}};
    using both = run_of<velocity, keeps_both>;
    auto const fresh = [&](mlp_options const& network) {
        return std::make_unique<both>(device, network, options, adam{}, constant_rate{}, objective);
    };
    auto const whole = fresh(small);
    whole->trainer.run(whole->data, 11);
    for (index_t k : {0, 4, 6}) {
        CAPTURE(k);
        auto const first = fresh(small);
        first->trainer.run(first->data, k);
        save_checkpoint(folder / "run", first->trainer);
        mlp_options elsewhere = small;
        elsewhere.seed = 99;
        auto const second = fresh(elsewhere);
        CHECK(second->state() != first->state());
        resume(folder / "run", second->trainer);
        CHECK(second->state() == first->state());
        second->trainer.run(second->data, 11);
        CHECK(second->state() == whole->state());
        CHECK(second->trainer.weight_optimizer().updates() == whole->trainer.weight_optimizer().updates());
    }
    auto const file = safetensors_file::read(folder / "run");
    CHECK(file.get<float>("weight.log_loss.weight").shape == shape{1, 64});
    CHECK(file.contains("weight.log_loss.bias"));
    CHECK(file.contains("target.blocks.0.first.weight"));
    CHECK(file.contains("weight_optimizer.first_moment"));
    CHECK(file.metadata().at("objective") == "learned_weighting{objective = older_self{decay = 0.75}}");
}

TEST_CASE("checkpoint: sections that are missing or belong to another kind of run are refused") {
    cpu device(1);
    scratch_folder folder;
    std::string const path = folder / "run", other = folder / "other";
    keeps_both const objective{older_self{}};
    run_of<velocity, keeps_both> run(device, small, options, adam{}, constant_rate{}, objective);
    run.trainer.run(run.data, 2);
    save_checkpoint(path, run.trainer);
    auto const without = [&](std::string const& prefix) {
        rewrite(path, other,
                [&](contents& c) { std::erase_if(c.floats, [&](auto const& part) { return part.first.starts_with(prefix); }); });
        return refusal<checkpoint_error>(other, run);
    };
    CHECK(without("target.").find("target.time.first.weight is missing") != std::string::npos);
    CHECK(without("weight.log_loss.bias") ==
          "checkpoint_error: " + other + ": weight.log_loss.bias is missing, it belongs to another network");
    CHECK(without("weight_optimizer.first") == "checkpoint_error: " + other + ": weight_optimizer.first_moment is missing, it must be F32");
    rewrite(path, other, [](contents& c) { c.floats["weight_optimizer.first_moment"] = {shape{3}, {1, 2, 3}}; });
    CHECK(refusal<checkpoint_error>(other, run) ==
          "checkpoint_error: " + other + ": weight_optimizer.first_moment is [3], it must be [65]");
    rewrite(path, other, [](contents& c) { c.floats["weight_optimizer.third_moment"] = {shape{1}, {1}}; });
    CHECK(refusal<checkpoint_error>(other, run) == "checkpoint_error: " + other +
                                                       ": weight_optimizer.third_moment is not expected, this run holds model, ema, "
                                                       "optimizer, target, weight and weight_optimizer");
    CHECK_NOTHROW(resume(path, run.trainer));

    run_of<> plain(device);
    save_checkpoint(path, plain.trainer);
    for (char const* name : {"target.in.bias", "weight.log_loss.bias", "notes"}) {
        rewrite(path, other, [&](contents& c) { c.floats[name] = {shape{1}, {1}}; });
        CHECK(refusal<checkpoint_error>(other, plain) ==
              "checkpoint_error: " + other + ": " + name + " is not expected, this run holds model, ema and optimizer");
    }
}

TEST_CASE("checkpoint: the file tells what it holds") {
    cpu device(1);
    scratch_folder folder;
    run_of<> run(device);
    run.trainer.run(run.data, 4);
    save_checkpoint(folder / "run", run.trainer);
    auto const file = safetensors_file::read(folder / "run");
    CHECK(file.metadata().at("format") == "pt");
    CHECK(file.metadata().at("step") == "4");
    CHECK(file.metadata().at("optimizer_updates") == "4");
    CHECK(file.metadata().at("average_updates") == "4");
    CHECK(file.metadata().at("process") == "rectified_flow{}");
    CHECK(file.metadata().at("target") == "velocity{}");
    CHECK(file.metadata().at("objective") == to_string(flow_matching{}));
    CHECK(file.metadata().at("optimizer") == to_string(adam{}));
    CHECK(file.metadata().at("rate") == to_string(constant_rate{}));
    CHECK(file.metadata().at("options") == to_string(options));
    CHECK(file.metadata().at("average") == "average{decay = 0.9, ramp = true}");
    auto const parameters = to_host(run.net.parameters()), ema = to_host(run.trainer.averaged().network().parameters());
    std::size_t names = 0;
    for (parameter const& p : run.net.names()) {
        auto const begin = static_cast<std::ptrdiff_t>(p.offset), end = begin + p.extents.size();
        CHECK(file.get<float>("model." + p.name).values == std::vector<float>(parameters.begin() + begin, parameters.begin() + end));
        CHECK(file.get<float>("ema." + p.name).values == std::vector<float>(ema.begin() + begin, ema.begin() + end));
        CHECK(file.get<float>("model." + p.name).shape == p.extents);
        ++names;
    }
    CHECK(file.names().size() == 2 * names + 2);
    CHECK(file.get<float>("optimizer.first_moment").values == to_host(run.trainer.optimizer().first_moment()));
    CHECK(file.get<float>("optimizer.second_moment").values == to_host(run.trainer.optimizer().second_moment()));
}

TEST_CASE("checkpoint: a file of another run is refused, with each difference") {
    cpu device(1);
    scratch_folder folder;
    std::string const path = folder / "run";
    run_of<> run(device);
    run.trainer.run(run.data, 4);
    save_checkpoint(path, run.trainer);
    std::string const before = text_of(path);
    auto const starts = [&](std::string const& text, std::string const& expected) {
        CAPTURE(text);
        CHECK(text.substr(0, expected.size() + path.size() + 20) == "checkpoint_error: " + path + ": " + expected);
    };

    mlp_options wide = small;
    wide.width = 9;
    run_of<> wider(device, wide);
    starts(refusal<checkpoint_error>(path, wider),
           "network is " + to_string(small) + " instead of " + to_string(wide) + ", a run is resumed as it was begun");
    run_of<epsilon> other_target(device);
    starts(refusal<checkpoint_error>(path, other_target), "target is velocity{} instead of epsilon{}, a run is resumed as it was begun");
    run_of<velocity, flow_matching<pseudo_huber>> other_objective(device);
    starts(refusal<checkpoint_error>(path, other_objective), "objective is " + to_string(flow_matching{}) + " instead of " +
                                                                 to_string(flow_matching{pseudo_huber{}}) +
                                                                 ", a run is resumed as it was begun");
    run_of<> other_rate(device, small, options, adam{.rate = 0.5});
    starts(refusal<checkpoint_error>(path, other_rate),
           "optimizer is " + to_string(adam{}) + " instead of " + to_string(adam{.rate = 0.5}));
    run_of<velocity, flow_matching<>, adamw> other_optimizer(device);
    starts(refusal<checkpoint_error>(path, other_optimizer), "optimizer is " + to_string(adam{}) + " instead of " + to_string(adamw{}));
    run_of<velocity, flow_matching<>, adam, cosine_rate> other_schedule(device);
    starts(refusal<checkpoint_error>(path, other_schedule),
           "rate is " + to_string(constant_rate{}) + " instead of " + to_string(cosine_rate{}));
    trainer_options numbers = options;
    numbers.seed = 4;
    run_of<> other_seed(device, small, numbers);
    starts(refusal<checkpoint_error>(path, other_seed), "options is " + to_string(options) + " instead of " + to_string(numbers));
    numbers = options;
    numbers.ema = 0.5;
    run_of<epsilon> several(device, small, numbers);
    starts(refusal<checkpoint_error>(path, several),
           "target is velocity{} instead of epsilon{}; options is " + to_string(options) + " instead of " + to_string(numbers) +
               "; average is average{decay = 0.9, ramp = true} instead of average{decay = 0.5, ramp = true}");
    rewrite(path, folder / "other", [](contents& c) { c.metadata["process"] = "edm{}"; });
    CHECK(refusal<checkpoint_error>(folder / "other", run) ==
          "checkpoint_error: " + folder / "other" + ": process is edm{} instead of rectified_flow{}, a run is resumed as it was begun");
    rewrite(path, folder / "other", [](contents& c) { c.metadata.erase("process"); });
    CHECK(refusal<checkpoint_error>(folder / "other", run) ==
          "checkpoint_error: " + folder / "other" + ": process is missing instead of rectified_flow{}, a run is resumed as it was begun");
    CHECK(text_of(path) == before);
}

TEST_CASE("checkpoint: a damaged file is refused and changes nothing") {
    cpu device(1);
    scratch_folder folder;
    std::string const path = folder / "run", other = folder / "other";
    run_of<> saved(device), run(device);
    saved.trainer.run(saved.data, 4);
    save_checkpoint(path, saved.trainer);
    run.trainer.run(run.data, 2);
    std::string const whole = text_of(path);

    CHECK(refusal<file_error>(folder / "none", run).substr(0, 12) == "file_error: ");
    for (std::size_t size : {std::size_t(0), std::size_t(7), std::size_t(100), whole.size() / 2, whole.size() - 1}) {
        CAPTURE(size);
        std::ofstream(other, std::ios::binary) << whole.substr(0, size);
        CHECK(refusal<format_error>(other, run).substr(0, 14) == "format_error: ");
    }
    std::ofstream(other, std::ios::binary) << whole << "more";
    refusal<format_error>(other, run);

    rewrite(path, other, [](contents&) {});
    run_of<> good(device);
    CHECK_NOTHROW(resume(other, good.trainer));  // an honest copy is no damage
    CHECK(good.state() == saved.state());

    rewrite(path, other, [](contents& c) { c.floats.erase("model.out.weight"), c.floats.erase("model.in.bias"); });
    CHECK(refusal<checkpoint_error>(other, run) ==
          "checkpoint_error: " + other + ": model.in.bias is missing; model.out.weight is missing, it belongs to another network");
    rewrite(path, other, [](contents& c) { c.floats.erase("ema.out.bias"); });
    CHECK(refusal<checkpoint_error>(other, run) ==
          "checkpoint_error: " + other + ": ema.out.bias is missing, it belongs to another network");
    rewrite(path, other, [](contents& c) { c.floats["model.extra"] = {shape{1}, {1}}; });
    CHECK(refusal<checkpoint_error>(other, run) ==
          "checkpoint_error: " + other + ": model.extra is not expected, it belongs to another network");
    rewrite(path, other, [](contents& c) { c.floats["model.out.weight"].first = {8, 2}; });
    CHECK(refusal<checkpoint_error>(other, run) ==
          "checkpoint_error: " + other + ": model.out.weight is F32 [8, 2] instead of F32 [2, 8], it belongs to another network");
    rewrite(path, other, [](contents& c) {
        auto const part = c.floats["model.out.bias"];
        c.floats.erase("model.out.bias");
        c.doubles["model.out.bias"] = {part.first, {part.second.begin(), part.second.end()}};
    });
    CHECK(refusal<checkpoint_error>(other, run) ==
          "checkpoint_error: " + other + ": model.out.bias is F64 [2] instead of F32 [2], it belongs to another network");
    rewrite(path, other, [](contents& c) { c.floats.erase("optimizer.first_moment"); });
    CHECK(refusal<checkpoint_error>(other, run).find("optimizer.first_moment is missing") != std::string::npos);
    rewrite(path, other, [](contents& c) {
        auto& moment = c.floats["optimizer.second_moment"];
        moment.second.pop_back();
        moment.first = {moment.first.size() - 1};
    });
    CHECK(refusal<checkpoint_error>(other, run).find("second_moment is [") != std::string::npos);
    rewrite(path, other, [](contents& c) {
        auto const part = c.floats["optimizer.first_moment"];
        c.floats.erase("optimizer.first_moment");
        c.doubles["optimizer.first_moment"] = {part.first, {part.second.begin(), part.second.end()}};
    });
    CHECK(refusal<checkpoint_error>(other, run).find("optimizer.first_moment is F64, it must be F32") != std::string::npos);
    rewrite(path, other, [](contents& c) { c.floats["optimizer.third_moment"] = c.floats["optimizer.first_moment"]; });
    CHECK(refusal<checkpoint_error>(other, run).find("optimizer.third_moment is not expected") != std::string::npos);
    for (char const* key : {"step", "optimizer_updates", "average_updates"})
        for (char const* text : {"", "-1", "four", "4 ", "4.5", "99999999999999999999"}) {
            rewrite(path, other, [&](contents& c) { c.metadata[key] = text; });
            CHECK(refusal<checkpoint_error>(other, run) ==
                  "checkpoint_error: " + other + ": " + key + " is '" + text + "', it must be a number >= 0");
        }
    rewrite(path, other, [](contents& c) { c.metadata.erase("step"); });
    CHECK(refusal<checkpoint_error>(other, run) == "checkpoint_error: " + other + ": step is '', it must be a number >= 0");
    CHECK(text_of(path) == whole);
}

TEST_CASE("checkpoint: a file that cannot be written leaves the old one whole") {
    cpu device(1);
    scratch_folder folder;
    run_of<> run(device);
    CHECK_THROWS_AS(save_checkpoint(folder / "no/such/folder", run.trainer), file_error);
    save_checkpoint(folder / "run", run.trainer);
    run.trainer.run(run.data, 2);
    save_checkpoint(folder / "run", run.trainer);  // replaced
    CHECK(safetensors_file::read(folder / "run").metadata().at("step") == "2");
    CHECK(folder.entries() == 1);
}

TEST_CASE("checkpoint: parameters alone, under PyTorch's names") {
    cpu device(1);
    scratch_folder folder;
    mlp<float, cpu> net(device, small);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user));
    save_parameters(folder / "net", net);
    auto const file = safetensors_file::read(folder / "net");
    CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
    CHECK(file.contains("blocks.0.first.weight"));
    CHECK(file.contains("time.first.bias"));
    CHECK(file.get<float>("in.weight").shape == shape{8, 2});
    mlp_options other_start = small;
    other_start.seed = 5;
    mlp<float, cpu> copy(device, other_start);
    load_parameters(folder / "net", copy);
    CHECK(to_host(copy.parameters()) == to_host(net.parameters()));

    mlp_options wide = small;
    wide.width = 9;
    mlp<float, cpu> wider(device, wide);
    auto const before = to_host(wider.parameters());
    std::string const text = message<checkpoint_error>([&] { load_parameters(folder / "net", wider); });
    CHECK(text.find("in.weight is F32 [8, 2] instead of F32 [9, 2]; ") != std::string::npos);
    CHECK(text.find("out.weight is F32 [2, 8] instead of F32 [2, 9]") != std::string::npos);
    CHECK(to_host(wider.parameters()) == before);
    mlp<double, cpu> precise(device, small);
    CHECK(message<checkpoint_error>([&] {
              load_parameters(folder / "net", precise);
          }).find("in.weight is F32 [8, 2] instead of F64 [8, 2]") != std::string::npos);
    CHECK(message<file_error>([&] { load_parameters(folder / "none", net); }).substr(0, 11) == "file_error:");
}

TEST_CASE("checkpoint: a network without names is one tensor") {
    cpu device(1);
    scratch_folder folder;
    bare_network<double, cpu> net(device, {1, -2, 3}), other(device, {0, 0, 0}), longer(device, {0, 0, 0, 0});
    save_parameters(folder / "net", net);
    CHECK(safetensors_file::read(folder / "net").names() == std::vector<std::string>{"parameters"});
    load_parameters(folder / "net", other);
    CHECK(to_host(other.parameters()) == std::vector<double>{1, -2, 3});
    CHECK(message<checkpoint_error>([&] { load_parameters(folder / "net", longer); }).find("parameters is F64 [3] instead of F64 [4]") !=
          std::string::npos);
}

}  // namespace checkpoint_tests
