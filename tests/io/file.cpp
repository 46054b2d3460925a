#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <onestep/io/file.hpp>

#include "scratch.hpp"

namespace file_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("file: what is written is read, whatever its size") {
    scratch_folder folder;
    std::string const path = folder / "file";
    for (std::size_t size : {0, 1, 4095, 4096, 4097, 300'000}) {
        std::string content(size, ' ');
        for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31 + 7);
        write_file_atomically(path, content);
        CHECK(read_file(path, size) == to_bytes(content));
        if (size > 0)
            CHECK(message<format_error>([&] { read_file(path, size - 1); }) == "format_error: " + path + ": the file holds " +
                                                                                   std::to_string(size) + " bytes, at most " +
                                                                                   std::to_string(size - 1) + " are read");
    }
    CHECK(folder.entries() == 1);
    std::string_view const a = "one ", b = "two";
    write_file_atomically(path, {std::as_bytes(std::span(a)), {}, std::as_bytes(std::span(b))});
    CHECK(text_of(path) == "one two");
}

TEST_CASE("file: a pipe, which has no size, is read to its end and to its limit") {
    scratch_folder folder;
    std::string const path = folder / "pipe";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    std::string const content(20'000, 'x');
    auto const feed = [&] {
        std::FILE* const pipe = std::fopen(path.c_str(), "wb");
        std::fwrite(content.data(), 1, content.size(), pipe);
        std::fclose(pipe);
    };
    std::thread writer(feed);
    CHECK(read_file(path, 20'000) == to_bytes(content));
    writer.join();
    // Few enough bytes for the pipe's buffer, so that the writer does not fail when reading stops.
    std::thread second(feed);
    CHECK(message<format_error>([&] { read_file(path, 19'999); }) ==
          "format_error: " + path + ": the file holds more than 19999 bytes, at most 19999 are read");
    second.join();
}

TEST_CASE("file: what cannot be read is a file_error with its reason") {
    scratch_folder folder;
    CHECK(message<file_error>([&] { read_file(folder / "none", 10); }) ==
          "file_error: " + folder / "none" + ": cannot be opened: No such file or directory");
    CHECK(message<file_error>([&] { read_file(folder.path(), 10); }) == "file_error: " + folder.path() + ": is a folder, a file is needed");
}

TEST_CASE("file: an existing file survives every kind of failure and no temporary is left") {
    scratch_folder folder;
    std::string const path = folder / "good";
    write_file_atomically(path, "good");

    CHECK_THROWS_AS(write_file_atomically(path,
                                          [](file_writer& out) {
                                              out.write("half");
                                              throw std::runtime_error("interrupted");
                                          }),
                    std::runtime_error);
    CHECK(text_of(path) == "good");
    CHECK(folder.entries() == 1);
    {
        file_writer abandoned(path);
        abandoned.write("half");
        CHECK(folder.entries() == 2);
        CHECK(text_of(path) == "good");
    }
    CHECK(folder.entries() == 1);
    CHECK(text_of(path) == "good");

    SUBCASE("a full disk, played by a limit on the size of files") {
        auto const before = std::signal(SIGXFSZ, SIG_IGN);
        rlimit old_limit{};
        getrlimit(RLIMIT_FSIZE, &old_limit);
        rlimit const small{10'000, old_limit.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        std::string const in_parts = message<file_error>([&] {
            write_file_atomically(path, [](file_writer& out) {
                for (int i = 0; i < 1000; ++i) out.write(std::string(100, 'x'));
            });
        });
        std::string const at_once = message<file_error>([&] { write_file_atomically(path, std::string(100'000, 'x')); });
        std::string const at_flush = message<file_error>([&] {
            write_file_atomically(path, [](file_writer& out) {
                out.write(std::string(4096 * 2, 'x'));
                out.write(std::string(3000, 'x'));
            });
        });
        setrlimit(RLIMIT_FSIZE, &old_limit);
        std::signal(SIGXFSZ, before);
        std::string const expected = "file_error: " + path + ": cannot be written: File too large";
        CHECK(in_parts == expected);
        CHECK(at_once == expected);
        CHECK(at_flush == expected);
    }
    SUBCASE("a folder that is not there") {
        CHECK(message<file_error>([&] { write_file_atomically(folder / "none/file", "x"); }) ==
              "file_error: " + folder / "none/file" +
                  ": cannot be written: No such file or directory, its folder must exist and be writable");
    }
    SUBCASE("a folder that is a file") {
        CHECK(message<file_error>([&] { write_file_atomically(path + "/file", "x"); }) ==
              "file_error: " + path + "/file: cannot be written: Not a directory, its folder must exist and be writable");
    }
    SUBCASE("a folder that may not be written to") {
        if (geteuid() == 0) return;  // root may
        chmod(folder.path().c_str(), 0500);
        std::string const text = message<file_error>([&] { write_file_atomically(path, "x"); });
        chmod(folder.path().c_str(), 0700);
        CHECK(text == "file_error: " + path + ": cannot be written: Permission denied, its folder must exist and be writable");
    }
    CHECK(text_of(path) == "good");
    CHECK(folder.entries() == 1);
}

TEST_CASE("file: a folder or a device is never replaced") {
    scratch_folder folder;
    CHECK(message<file_error>([&] { write_file_atomically(folder.path(), "x"); }) ==
          "file_error: " + folder.path() + ": is not a regular file, only those are written");
    CHECK(message<file_error>([&] { write_file_atomically("/dev/null", "x"); }) ==
          "file_error: /dev/null: is not a regular file, only those are written");
    CHECK_THROWS_AS(write_file_atomically("", "x"), file_error);
    CHECK(folder.entries() == 0);
}

TEST_CASE("file: permissions of an existing file are kept, a new one follows the process") {
    scratch_folder folder;
    auto const mode = [&](std::string const& path) {
        struct stat status = {};
        stat(path.c_str(), &status);
        return status.st_mode & 0777;
    };
    mode_t const mask = umask(022);
    write_file_atomically(folder / "new", "x");
    CHECK(mode(folder / "new") == 0644);
    chmod((folder / "new").c_str(), 0640);
    write_file_atomically(folder / "new", "y");
    CHECK(mode(folder / "new") == 0640);
    umask(mask);
}

TEST_CASE("file: readers beside a writer see whole files only") {
    scratch_folder folder;
    std::string const path = folder / "file";
    write_file_atomically(path, std::string(50'000, 'a'));
    std::thread writer([&] {
        for (int i = 0; i < 30; ++i) write_file_atomically(path, std::string(50'000, static_cast<char>('a' + i % 26)));
    });
    bool whole = true;
    for (int i = 0; i < 200; ++i) {
        std::string const content = text_of(path);
        whole = whole && content == std::string(50'000, content.empty() ? '?' : content[0]);
    }
    writer.join();
    CHECK(whole);
    CHECK(folder.entries() == 1);
}

}  // namespace file_tests
