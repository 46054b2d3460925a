#include <doctest/doctest.h>
#include <onestep/backend/lender.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace onestep::lender_tests {
namespace {

/// How many exist, and what each has been through.
struct resource {
    static inline std::atomic<int> alive = 0, made = 0;
    explicit resource(int first = 0, std::unique_ptr<int> second = nullptr) : value(first + (second ? *second : 0)) { ++alive, ++made; }
    resource(resource const&) = delete;
    resource& operator=(resource const&) = delete;
    ~resource() { --alive; }
    void reset() { ++resets; }
    int value, resets = 0;
    std::atomic<int> users = 0;
};
using owner = lender<resource>;

TEST_CASE("lender: what has come back is lent again, reset each time") {
    owner from;
    resource* first = nullptr;
    {
        auto const loan = from.lend(5, std::make_unique<int>(2));
        first = &*loan;
        CHECK(loan->value == 7);
        CHECK(loan->resets == 1);
    }
    auto const again = from.lend(9);
    CHECK(&*again == first);
    CHECK(again->value == 7);  // arguments are for new ones
    CHECK(again->resets == 2);
}

TEST_CASE("lender: as many exist as were lent at once") {
    int const before = resource::alive, made = resource::made;
    {
        owner from;
        for (int pass = 0; pass < 3; ++pass) {
            auto const a = from.lend(), b = from.lend();
            CHECK(&*a != &*b);
            auto const c = from.lend();
            CHECK((&*c != &*a && &*c != &*b));
            CHECK(resource::alive == before + 3);
        }
        CHECK(resource::made == made + 3);
    }
    CHECK(resource::alive == before);
}

TEST_CASE("lender: drop destroys what is not lent, and no more") {
    int const before = resource::alive;
    owner from;
    std::unique_ptr<owner::loan> kept;
    {
        auto const a = from.lend(1);
        kept.reset(new owner::loan(from.lend(2)));
        auto const c = from.lend(3);
    }
    CHECK(resource::alive == before + 3);
    from.drop();
    CHECK(resource::alive == before + 1);
    CHECK((*kept)->value == 2);
    resource const* const last = &**kept;
    kept.reset();
    CHECK(resource::alive == before + 1);
    CHECK(&*from.lend(4) == last);
    from.drop();
    from.drop();
    CHECK(resource::alive == before);
}

TEST_CASE("lender: copies start empty and are nobody's") {
    owner from;
    { auto const loan = from.lend(1); }
    owner copy(from), assigned;
    { auto const loan = assigned.lend(2); }
    assigned = from;
    CHECK(copy.lend(3)->value == 3);
    CHECK(assigned.lend(4)->value == 2);
    CHECK(from.lend(5)->value == 1);
}

TEST_CASE("lender: many free ones go without deep recursion") {
    owner from;
    int const before = resource::alive;
    {
        std::vector<std::unique_ptr<owner::loan>> loans;
        for (int k = 0; k < 100000; ++k) loans.emplace_back(new owner::loan(from.lend()));
    }
    CHECK(resource::alive == before + 100000);
    from.drop();
    CHECK(resource::alive == before);
}

TEST_CASE("lender: a resource has one user at a time, from however many threads") {
    owner from;
    int const made = resource::made;
    std::atomic<int> shared = 0, ready = 0;
    auto const use = [&] {
        ++ready;
        while (ready < 4) std::this_thread::yield();  // all begin together
        for (int k = 0; k < 20000; ++k) {
            auto const loan = from.lend();
            if (++loan->users != 1) ++shared;
            --loan->users;
        }
    };
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; ++k) threads.emplace_back(use);
    for (std::thread& each : threads) each.join();
    CHECK(shared == 0);
    CHECK(resource::made <= made + 4);
}

}  // namespace
}  // namespace onestep::lender_tests
