#pragma once
/// Networks and training runs as safetensors files.
///
///     model.<name>, ema.<name>                   parameters under their PyTorch names (or "parameters" for a network without names)
///     optimizer.first_moment, .second_moment     flat, as parameters lie in memory
///     target.<name>                              the average that targets come from, where the objective moves one
///     weight.<name>, weight_optimizer.<moment>   the learned weight of the loss, where the objective has one
///     __metadata__                               step, updates, and the specs of everything that decides the next step
///
/// Files are written whole or not at all. A run that is saved, stopped and resumed ends with the same bits as one that
/// was never stopped.
#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../io/safetensors.hpp"
#include "../network/parameters.hpp"
#include "../version.hpp"
#include "trainer.hpp"

namespace onestep {

namespace checkpoint {

/// Names and places of a network's parameters; one entry for a network that does not name them.
template <class Network> std::vector<parameter> entries(Network& net) {
    if constexpr (requires { net.names().begin(); }) return {net.names().begin(), net.names().end()};
    else return {{"parameters", {net.parameters().size()}, 0, 0}};
}

/// All parameters in host memory, each where it lies in the flat buffer but in PyTorch's order.
template <class Network> std::vector<scalar_of<Network>> named_parameters(Network& net) {
    auto const flat = to_host(net.parameters());
    auto named = flat;
    for (parameter const& p : entries(net))
        for_each_named(p, [&](std::size_t i, std::size_t place) { named[static_cast<std::size_t>(p.offset) + i] = flat[place]; });
    return named;
}

/// Parameters by named_parameters, kept until the writer has saved them.
template <class Network, class T>
void add(safetensors_writer& writer, std::string const& prefix, Network& net, std::vector<T> const& flat) {
    for (parameter const& p : entries(net))
        writer.add(prefix + p.name, p.extents,
                   std::span<T const>(flat).subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.extents.size())));
}

/// Reads the parameters of a network without touching it. Throws checkpoint_error with all that is missing or misshaped.
template <class Network> std::vector<scalar_of<Network>> read(safetensors_file const& file, std::string const& prefix, Network& net) {
    using T = scalar_of<Network>;
    std::vector<T> flat(static_cast<std::size_t>(net.parameters().size()));
    std::string problems;
    for (parameter const& p : entries(net)) {
        std::string const name = prefix + p.name;
        if (!file.contains(name)) {
            problems += (problems.empty() ? "" : "; ") + name + " is missing";
            continue;
        }
        if (file.dtype(name) != safetensors::element_name<T>() || !(to_string(file.extents(name)) == to_string(p.extents))) {
            problems += (problems.empty() ? "" : "; ") + name + " is " + std::string(file.dtype(name)) + " " +
                        to_string(file.extents(name)) + " instead of " + std::string(safetensors::element_name<T>()) + " " +
                        to_string(p.extents);
            continue;
        }
        from_named(p, file.get<T>(name).values, flat);
    }
    for (std::string const& name : file.names())
        if (name.starts_with(prefix)) {
            bool known = false;
            for (parameter const& p : entries(net)) known = known || name == prefix + p.name;
            if (!known) problems += (problems.empty() ? "" : "; ") + name + " is not expected";
        }
    if (!problems.empty()) raise<checkpoint_error>(file.name(), problems, "it belongs to another network");
    return flat;
}

template <class Network> void write_back(Network& net, std::vector<scalar_of<Network>> const& flat) {
    auto const p = net.parameters();
    p.backend().upload(flat.data(), p.size(), p.data());
}

/// What decides how a run goes on, by name.
template <class Trainer> std::vector<std::pair<std::string, std::string>> specs(Trainer& run) {
    std::vector<std::pair<std::string, std::string>> list;
    if constexpr (requires { to_string(run.model().network().options()); })
        list.emplace_back("network", to_string(run.model().network().options()));
    list.emplace_back("process", to_string(run.model().process()));
    list.emplace_back("target", to_string(run.model().target()));
    list.emplace_back("objective", to_string(run.objective()));
    list.emplace_back("optimizer", to_string(run.optimizer().spec()));
    list.emplace_back("rate", to_string(run.rate()));
    list.emplace_back("options", to_string(run.options()));
    list.emplace_back("average", to_string(run.average().options()));
    return list;
}

/// Whether a tensor's name lies in one of the sections; those of optimizers hold two moments and nothing else.
inline bool belongs(std::string const& name, std::vector<std::string> const& sections) {
    return std::any_of(sections.begin(), sections.end(), [&](std::string const& section) {
        if (!name.starts_with(section)) return false;
        return !section.ends_with("optimizer.") || name == section + "first_moment" || name == section + "second_moment";
    });
}

/// "model, ema and optimizer".
inline std::string listed(std::vector<std::string> const& sections) {
    std::string text;
    for (std::size_t i = 0; i < sections.size(); ++i)
        text += (i == 0 ? "" : i + 1 == sections.size() ? " and " : ", ") + sections[i].substr(0, sections[i].size() - 1);
    return text;
}

/// A count in the metadata. Throws checkpoint_error if it is missing or is not a number >= 0.
inline index_t count(safetensors_file const& file, std::string const& key) {
    auto const found = file.metadata().find(key);
    std::string const text = found == file.metadata().end() ? "" : found->second;
    index_t value = -1;
    auto const result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() || value < 0)
        raise<checkpoint_error>(file.name(), key + " is '" + text + "'", "it must be a number >= 0");
    return value;
}

/// The moments of an optimizer, in host memory.
template <class T> struct moments {
    std::vector<T> first, second;
    template <class Optimizer>
    explicit moments(Optimizer& from) : first(to_host(from.first_moment())), second(to_host(from.second_moment())) {}
    void add_to(safetensors_writer& writer, std::string const& prefix) const {
        writer.add(prefix + ".first_moment", {static_cast<index_t>(first.size())}, first);
        writer.add(prefix + ".second_moment", {static_cast<index_t>(second.size())}, second);
    }
};

/// Reads moments of `size` elements. Throws checkpoint_error.
template <class T>
std::pair<std::vector<T>, std::vector<T>> read_moments(safetensors_file const& file, std::string const& prefix, index_t size) {
    std::vector<T> pair[2];
    char const* const names[2] = {".first_moment", ".second_moment"};
    for (int k = 0; k < 2; ++k) {
        std::string const name = prefix + names[k];
        if (!file.contains(name) || file.dtype(name) != safetensors::element_name<T>())
            raise<checkpoint_error>(file.name(),
                                    name + (file.contains(name) ? " is " + std::string(file.dtype(name)) : std::string(" is missing")),
                                    "it must be " + std::string(safetensors::element_name<T>()));
        auto found = file.get<T>(name);
        if (!(found.shape == shape{size}))
            raise<checkpoint_error>(file.name(), name + " is " + to_string(found.shape), "it must be " + to_string(shape{size}));
        pair[k] = std::move(found.values);
    }
    return {std::move(pair[0]), std::move(pair[1])};
}

template <class Optimizer, class T> void write_moments(Optimizer& to, std::pair<std::vector<T>, std::vector<T>> const& moments) {
    auto const first = to.first_moment(), second = to.second_moment();
    first.backend().upload(moments.first.data(), first.size(), first.data());
    second.backend().upload(moments.second.data(), second.size(), second.data());
}

}  // namespace checkpoint

/// Writes a network's parameters, for use elsewhere. Throws file_error.
template <has_parameters Network> void save_parameters(std::string const& path, Network& net) {
    auto const flat = checkpoint::named_parameters(net);
    safetensors_writer writer;
    checkpoint::add(writer, "", net, flat);
    writer.metadata("format", "pt");
    writer.save(path);
}

/// Reads parameters into a network of the same names and shapes; a state dict saved from PyTorch under those names will
/// do. The network stays as it was if anything is wrong. Throws file_error, format_error, checkpoint_error.
template <has_parameters Network> void load_parameters(std::string const& path, Network& net) {
    checkpoint::write_back(net, checkpoint::read(safetensors_file::read(path), "", net));
}

/// Writes all that a run needs to go on: parameters, averages, moments, learned weight, counts, specs. Throws file_error.
template <class Trainer> void save_checkpoint(std::string const& path, Trainer& run) {
    using T = typename Trainer::value_type;
    auto& net = run.model().network();
    auto& averaged = run.averaged().network();
    safetensors_writer writer;
    auto const parameters = checkpoint::named_parameters(net), ema = checkpoint::named_parameters(averaged);
    checkpoint::add(writer, "model.", net, parameters);
    checkpoint::add(writer, "ema.", averaged, ema);
    checkpoint::moments<T> const moments(run.optimizer());
    moments.add_to(writer, "optimizer");
    std::vector<T> target, weight;
    std::optional<checkpoint::moments<T>> weight_moments;
    if constexpr (Trainer::has_target) {
        target = checkpoint::named_parameters(run.target().model().network());
        checkpoint::add(writer, "target.", run.target().model().network(), target);
    }
    if constexpr (Trainer::has_weight) {
        weight = checkpoint::named_parameters(run.weight());
        checkpoint::add(writer, "weight.", run.weight(), weight);
        weight_moments.emplace(run.weight_optimizer());
        weight_moments->add_to(writer, "weight_optimizer");
    }
    writer.metadata("format", "pt");
    writer.metadata("onestep", std::to_string(ONESTEP_VERSION_MAJOR) + "." + std::to_string(ONESTEP_VERSION_MINOR) + "." +
                                   std::to_string(ONESTEP_VERSION_PATCH));
    writer.metadata("step", std::to_string(run.step()));
    writer.metadata("optimizer_updates", std::to_string(run.optimizer().updates()));
    writer.metadata("average_updates", std::to_string(run.average().updates()));
    for (auto const& [key, text] : checkpoint::specs(run)) writer.metadata(key, text);
    writer.save(path);
}

/// Puts a run back where save_checkpoint left it. Nothing is changed if anything is wrong.
/// Throws file_error, format_error; checkpoint_error, naming each difference, if the file was written by a run with
/// another network, process, target, objective, optimizer, rate schedule or options.
template <class Trainer> void resume(std::string const& path, Trainer& run) {
    safetensors_file const file = safetensors_file::read(path);
    std::string differences;
    for (auto const& [key, expected] : checkpoint::specs(run)) {
        auto const found = file.metadata().find(key);
        std::string const given = found == file.metadata().end() ? "missing" : found->second;
        if (given != expected) differences += (differences.empty() ? "" : "; ") + key + " is " + given + " instead of " + expected;
    }
    if (!differences.empty()) raise<checkpoint_error>(path, differences, "a run is resumed as it was begun");
    index_t const step = checkpoint::count(file, "step"), updates = checkpoint::count(file, "optimizer_updates"),
                  average_updates = checkpoint::count(file, "average_updates");
    auto& net = run.model().network();
    using T = typename Trainer::value_type;
    auto const parameters = checkpoint::read(file, "model.", net);
    auto const ema = checkpoint::read(file, "ema.", run.averaged().network());
    std::vector<std::string> sections{"model.", "ema.", "optimizer."};
    if constexpr (Trainer::has_target) sections.emplace_back("target.");
    if constexpr (Trainer::has_weight) sections.insert(sections.end(), {"weight.", "weight_optimizer."});
    for (std::string const& name : file.names())
        if (!checkpoint::belongs(name, sections))
            raise<checkpoint_error>(path, name + " is not expected", "this run holds " + checkpoint::listed(sections));
    auto const moments = checkpoint::read_moments<T>(file, "optimizer", static_cast<index_t>(parameters.size()));
    std::vector<T> target, weight;
    std::pair<std::vector<T>, std::vector<T>> weight_moments;
    if constexpr (Trainer::has_target) target = checkpoint::read(file, "target.", run.target().model().network());
    if constexpr (Trainer::has_weight) {
        weight = checkpoint::read(file, "weight.", run.weight());
        weight_moments = checkpoint::read_moments<T>(file, "weight_optimizer", static_cast<index_t>(weight.size()));
    }

    checkpoint::write_back(net, parameters);
    checkpoint::write_back(run.averaged().network(), ema);
    checkpoint::write_moments(run.optimizer(), moments);
    run.optimizer().restore(updates);
    run.average().restore(average_updates);
    if constexpr (Trainer::has_target) checkpoint::write_back(run.target().model().network(), target);
    if constexpr (Trainer::has_weight) {
        checkpoint::write_back(run.weight(), weight);
        checkpoint::write_moments(run.weight_optimizer(), weight_moments);
        run.weight_optimizer().restore(updates);
    }
    run.restore(step);
}

}  // namespace onestep
