// Few-step models of real images with the U-Net, class-conditional: one method a run, from the same teacher, measured in the same way.
// Writes pictures and checkpoints while it trains; Ctrl-C saves, and --resume goes on with the same bits.
//
//     images --data fashion --method flow --report            the teacher, and what 1, 2, 4 and 64 steps of it are worth
//     images --data fashion --method ect --report             a model for few steps, from that teacher
//
// quick: --data digits --method mean_flow --width 8 --batch 16 --steps 12 --every 6 --rehearse 8 --generate 64 --report --out images-quick
#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>

#include "images/lab.hpp"
#include "images/methods.hpp"

namespace {

std::vector<images::method> all_methods() {
    std::vector<images::method> list;
    for (auto const& family : {images::flows(), images::consistency(), images::maps()})
        list.insert(list.end(), family.begin(), family.end());
    return list;
}

void run(images::settings const& s, std::vector<images::method> const& methods) {
    onestep::cpu device(s.threads);
    images::image_data const data = images::load_images(device, s.data, s.folder);
    std::printf("%s: %td images to train on, %td held out\n", data.name.c_str(), data.train.rows(), data.held_out.rows());
    std::filesystem::create_directories(s.out);
    images::lab here(device, s, data);
    for (images::method const& m : methods)
        if (m.name == s.method) m.run(here);
}

}  // namespace

int main(int argc, char** argv) {
    images::settings s;
    std::vector<images::method> const methods = all_methods();
    std::vector<std::string> names;
    for (images::method const& m : methods) names.push_back(m.name);

    CLI::App app{"Trains a generator of small images for few steps, or the flow it starts from, and measures it."};
    app.add_option("--data", s.data, "what to learn")->capture_default_str()->check(CLI::IsMember({"digits", "mnist", "fashion", "emoji"}));
    app.add_option("--folder", s.folder, "where its IDX files are, raw or .gz; by default here, or where Debian puts them");
    app.add_option("--method", s.method, "how")->capture_default_str()->check(CLI::IsMember(names));
    app.add_option("--teacher", s.teacher,
                   "parameters of a trained flow of the same width; by default OUT/teacher.safetensors, trained first");
    app.add_option("--steps", s.steps, "of training")->capture_default_str()->check(CLI::Range(2, 100'000'000));
    app.add_option("--minutes", s.minutes, "of training, after which it ends before its last step; 0: no limit")->capture_default_str();
    app.add_option("--rate", s.rate, "of Adam, at its highest; half of it where the teacher's weights are the start")
        ->capture_default_str();
    app.add_option("--width", s.width, "channels of the first level")->capture_default_str()->check(CLI::Range(1, 1024));
    app.add_option("--batch", s.batch, "images a step")->capture_default_str()->check(CLI::Range(1, 100'000));
    app.add_option("--every", s.every, "steps between pictures and checkpoints")->capture_default_str()->check(CLI::PositiveNumber);
    app.add_option("--pairs", s.pairs, "that the teacher makes for reflow and distilled")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--generate", s.generate, "images to measure")->capture_default_str()->check(CLI::Range(4, 1'000'000));
    app.add_option("--seed", s.seed, "of weights, batches and noise")->capture_default_str();
    app.add_option("--threads", s.threads, "0: one a core; the results are the same for any number")->capture_default_str();
    app.add_option("--out", s.out, "folder for all that is written")->capture_default_str();
    app.add_flag("--resume", s.resume, "go on from the checkpoint, if there is one");
    app.add_option("--rehearse", s.rehearse, "stop after so many steps, as at Ctrl-C, and go on from the checkpoint, to see that it works");
    app.add_flag("--report", s.report, "measure, and add a line for each number of steps to OUT/results.json");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGINT, [](int) { images::stop_asked = 1; });
    std::signal(SIGTERM, [](int) { images::stop_asked = 1; });
    try {
        run(s, methods);
        return 0;
    } catch (images::interrupted const&) {
        if (images::stop_asked) return 130;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    s.resume = true, s.rehearse = 0;
    try {
        run(s, methods);
        return 0;
    } catch (images::interrupted const&) {
        return 130;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
