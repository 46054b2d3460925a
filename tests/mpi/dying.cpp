// dying throw|kill FILE: a run with a checkpoint after every second step, in which rank 1 throws, or is killed, after the fifth.
// dying resume FILE: goes on from there.
#include <csignal>

#include <onestep/train/mpi.hpp>

#include "trained.hpp"

using namespace onestep;

int main(int argc, char** argv) {
    return mpi_main(argc, argv, [&](mpi& group) {
        std::string const how = argv[1], file = argv[2];
        test::small_run<mpi> small(group);
        if (how == "resume") {
            resume(file, small.run);
            index_t const begun = small.run.step();
            small.run.run(small.x0, 10);
            if (group.rank() == 0) std::printf("resumed after step %td, ended after step %td\n", begun, small.run.step());
            return;
        }
        small.run.on_step([&](training_report const& r) {
            if (group.rank() == 0 && r.step % 2 == 0) save_checkpoint(file, small.run);
            if (group.rank() != 1 || r.step != 5) return;
            if (how == "kill") std::raise(SIGKILL);
            raise<domain_error>("this rank", "it is ill", "the others must hear of it");
        });
        small.run.run(small.x0, 1'000'000'000);
    });
}
