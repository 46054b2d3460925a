#pragma once
/// Processes started by mpirun. Link onestep::mpi.
///
///     int main(int argc, char** argv) {
///         return onestep::mpi_main(argc, argv, [](onestep::mpi& group) {
///             ...
///             onestep::trainer run{flow, onestep::flow_matching{}, onestep::adam{}, {.batch = 256}, onestep::constant_rate{}, group};
///             run.run(images, 10'000);
///             if (group.rank() == 0) onestep::save_checkpoint("run.safetensors", run);
///         });
///     }
#define OMPI_SKIP_MPICXX 1  // the C interface alone
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "communicator.hpp"

namespace onestep {

/// The processes of an MPI communicator. Sums are taken in the order of ranks, so results depend on how many processes there are and on
/// nothing else: not on MPI's reduction trees, not on who comes first. Memory of any backend, through host memory.
class mpi {
public:
    /// MPI must be initialised; mpi_main does that.
    explicit mpi(MPI_Comm group = MPI_COMM_WORLD) : group_(group) {
        MPI_Comm_rank(group, &rank_);
        MPI_Comm_size(group, &size_);
    }

    int rank() const { return rank_; }
    int size() const { return size_; }

    /// Sends and receives 2 (R - 1) / R of the bytes of v. No allocation when warm.
    template <class T, class Backend> void average(view<T, Backend> v) {
        if (size_ == 1) return;
        in_pieces(v, [&](T* piece, index_t count) {
            int const each = static_cast<int>((count + size_ - 1) / size_);
            T* const shares = room<T>(received_, index_t{each} * size_);
            MPI_Alltoall(piece, each, type<T>(), shares, each, type<T>(), group_);
            for (int i = 0; i < each; ++i) {
                T sum = shares[i];
                for (int r = 1; r < size_; ++r) sum += shares[r * each + i];
                shares[i] = sum / static_cast<T>(size_);
            }
            MPI_Allgather(shares, each, type<T>(), piece, each, type<T>(), group_);
        });
    }
    /// Throws domain_error unless `root` is a rank.
    template <class T, class Backend> void broadcast(view<T, Backend> v, int root) {
        if (root < 0 || root >= size_)
            raise<domain_error>("mpi", "root is " + std::to_string(root), "ranks are 0 to " + std::to_string(size_ - 1));
        if (size_ == 1) return;
        in_pieces(v, [&](T* piece, index_t count) { MPI_Bcast(piece, static_cast<int>(count), type<T>(), root, group_); });
    }

private:
    /// MPI counts in int, and what is on its way need not be as large as the model.
    static constexpr index_t piece_bytes = index_t{1} << 24;

    template <class T> static MPI_Datatype type() {
        static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "onestep: processes exchange float or double");
        return std::is_same_v<T, float> ? MPI_FLOAT : MPI_DOUBLE;
    }
    template <class T> static T* room(std::vector<unsigned char>& bytes, index_t n) {
        std::size_t const needed = static_cast<std::size_t>(n) * sizeof(T);
        if (bytes.size() < needed) bytes.resize(needed);
        return reinterpret_cast<T*>(bytes.data());
    }
    /// f(copy of a piece in host memory, its length), whose result goes back. There is room for a share of each rank to be filled up.
    template <class T, class Backend, class F> void in_pieces(view<T, Backend> v, F const& f) {
        index_t const most = piece_bytes / static_cast<index_t>(sizeof(T));
        for (index_t first = 0; first < v.size(); first += most) {
            index_t const count = std::min(most, v.size() - first);
            T* const piece = room<T>(sent_, count + size_);
            v.backend().download(v.data() + first, count, piece);
            std::fill(piece + count, piece + count + size_, T(0));
            f(piece, count);
            v.backend().upload(piece, count, v.data() + first);
            v.backend().synchronize();
        }
    }

    MPI_Comm group_;
    int rank_ = 0, size_ = 1;
    std::vector<unsigned char> sent_, received_;
};

/// What main returns for a program of several processes: initialises MPI, calls body(group) and ends MPI. An exception that leaves the body
/// is printed with its rank and ends all processes, which would otherwise wait for this one for ever.
template <class Body> int mpi_main(int argc, char** argv, Body const& body) {
    MPI_Init(&argc, &argv);
    mpi group;
    auto const end_all = [&](char const* what) {
        std::fprintf(stderr, "rank %d of %d: %s\n", group.rank(), group.size(), what);
        std::fflush(stderr);
        MPI_Abort(MPI_COMM_WORLD, 1);
    };
    try {
        body(group);
    } catch (std::exception const& failure) {
        end_all(failure.what());
    } catch (...) {
        end_all("an exception of unknown type");
    }
    MPI_Finalize();
    return 0;
}

}  // namespace onestep
