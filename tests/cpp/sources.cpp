// The scenarios of sources and large uploads in C++.

#include "support.hpp"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

namespace {

constexpr std::size_t MIB = 1 << 20;

/// Bytes that tell where they are.
std::string counting(std::size_t size) {
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; i++) {
        data[i] = static_cast<char>(i % 251);
    }
    return data;
}

/// A new file of such bytes.
class File {
public:
    explicit File(std::size_t size) {
        std::ofstream(path, std::ios::binary) << counting(size);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() { fs::remove(path); }

    const fs::path path = fs::temp_directory_path() / fresh("oss-callback-test ø");

    static std::string fresh(const std::string &name) {
        static std::atomic<int> count{0};
        return name + "-" + std::to_string(getpid()) + "-" +
               std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()) + "-" +
               std::to_string(++count);
    }
};

oss::Callback echo() {
    oss::CallbackOptions from;
    from.body = "{\"size\":${size},\"key\":${object},\"crc64\":${crc64}}";
    from.body_type = oss::BodyType::Json;
    return callback_to("/echo", from);
}

/// A function over such bytes, a few at a time.
oss::ReadFunction reading(std::size_t size, std::size_t step = 100000) {
    return [data = counting(size), at = std::size_t{0}, step](std::uint8_t *buffer, std::size_t capacity) mutable {
        const std::size_t len = std::min({capacity, step, data.size() - at});
        std::memcpy(buffer, data.data() + at, len);
        at += len;
        return len;
    };
}

/// By put and by upload, which must tell the application server the same.
void arrives(const oss::Client &client, const oss::Source &source, bool by_put, std::size_t size) {
    const auto key = File::fresh("source");
    // What the memory way gives is what every other must.
    const auto data = counting(size);
    const auto expected = client.put_object_with_callback(BUCKET, key, data, echo());
    const auto reply = by_put ? client.put_object_with_callback(BUCKET, key, source, echo())
                              : client.upload_file_with_callback(BUCKET, key, source, echo());
    SAME(echoed(reply), echoed(expected));
    CHECK(reply.crc64() == expected.crc64() && reply.crc64().has_value());
}

} // namespace

static void sources_of_every_kind_arrive_whole() {
    const oss::Client client(options());
    for (const std::size_t size : {std::size_t{0}, std::size_t{700001}, 17 * MIB + 1}) {
        const File file(size);
        const auto data = counting(size);
        for (const bool by_put : {true, false}) {
            arrives(client, file.path, by_put, size);
            arrives(client, oss::Source::memory(data), by_put, size);
            std::ifstream stream(file.path, std::ios::binary);
            arrives(client, stream, by_put, size);
            std::istringstream text(data);
            arrives(client, oss::Source(text, size), by_put, size);
            arrives(client, oss::Source::function(reading(size), size), by_put, size);
            arrives(client, oss::Source::function(reading(size)), by_put, size);
        }
    }
    const auto error = thrown<oss::SourceError>([&] {
        client.upload_file_with_callback(BUCKET, "none", fs::path("/tmp/no such file 7"), echo());
    });
    CHECK(error != nullptr && std::strstr(error->what(), "/tmp/no such file 7") != nullptr);
}

namespace {

struct TapeTore : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What is nested in an exception, as text.
std::string cause_of(const std::exception &error) {
    try {
        std::rethrow_if_nested(error);
    } catch (const TapeTore &cause) {
        return std::string("tape: ") + cause.what();
    } catch (const std::exception &cause) {
        return cause.what();
    } catch (int number) {
        return std::to_string(number);
    }
    return "";
}

template <typename E, typename Call>
std::string cause_thrown(Call &&call) {
    try {
        call();
    } catch (const E &error) {
        return cause_of(error);
    }
    test_fail("nothing was thrown");
    return "";
}

} // namespace

static void broken_source_is_a_source_error() {
    const oss::Client client(options());
    for (const std::optional<std::uint64_t> length : {std::optional<std::uint64_t>(600000), {}}) {
        for (const bool by_put : {true, false}) {
            const auto key = File::fresh("torn");
            const auto send = [&](const oss::Source &source) {
                by_put ? client.put_object_with_callback(BUCKET, key, source, echo())
                       : client.upload_file_with_callback(BUCKET, key, source, echo());
            };
            const auto source = oss::Source::function(
                [read = reading(300000)](std::uint8_t *buffer, std::size_t capacity) {
                    const auto got = read(buffer, capacity);
                    if (got == 0) {
                        throw TapeTore("at its middle");
                    }
                    return got;
                },
                length);
            const auto error = thrown<oss::SourceError>([&] {
                try {
                    send(source);
                } catch (const oss::SourceError &found) {
                    SAME(cause_of(found), "tape: at its middle");
                    throw;
                }
            });
            CHECK(error != nullptr && std::strstr(error->what(), "at its middle") != nullptr && !error->stored());
            const auto number = oss::Source::function(
                [](std::uint8_t *, std::size_t) -> std::size_t { throw 42; }, length);
            SAME(cause_thrown<oss::SourceError>([&] { send(number); }), "42");
            CHECK(callbacks_with(key.c_str()) == 0);
        }
    }
    // One that ends before what was promised, and a stream that was never open.
    const auto shorter = oss::Source::function(reading(100), 101);
    SAME(cause_thrown<oss::SourceError>([&] { client.upload_file_with_callback(BUCKET, "a", shorter, echo()); }), "");
    std::ifstream closed("/tmp/no such file 7");
    const auto cause =
        cause_thrown<oss::SourceError>([&] { client.upload_file_with_callback(BUCKET, "a", closed, echo()); });
    CHECK(cause.find("had failed") != std::string::npos);
    // Used up by the first upload.
    const auto once = oss::Source::function(reading(100));
    client.put_object_with_callback(BUCKET, "a", once, echo());
    thrown<oss::SourceError>([&] { client.put_object_with_callback(BUCKET, "a", once, echo()); });
}

static oss::UploadOptions parts_of(std::uint64_t bytes, std::uint64_t parallel) {
    oss::UploadOptions from;
    from.threshold = bytes;
    from.part_size = bytes;
    from.parallel = parallel;
    return from;
}

static void large_file_goes_in_parts_with_one_callback() {
    const oss::Client client(options());
    const File file(3 * MIB);
    const auto key = File::fresh("large");
    auto from = parts_of(MIB, 2);
    from.content_type = "video/mp4";
    auto reply = client.upload_file_with_callback(BUCKET, key, file.path, echo(), from);
    const auto etag = reply.etag().value_or("");
    CHECK(etag.size() > 2 && etag.substr(etag.size() - 2) == "-3");
    CHECK(callbacks_with(key.c_str()) == 1);
    from.threshold = 3 * MIB + 1;
    const auto small = File::fresh("small");
    reply = client.upload_file_with_callback(BUCKET, small, file.path, echo(), from);
    CHECK(reply.etag().value_or("-").find('-') == std::string::npos);
    CHECK(callbacks_with(small.c_str()) == 1);
    from.parallel = 65;
    const auto error = thrown<oss::InvalidArgumentError>(
        [&] { client.upload_file_with_callback(BUCKET, key, file.path, echo(), from); });
    CHECK(error != nullptr && error->field() == "parallel");
}

static void progress_is_told() {
    const oss::Client client(options());
    const File file(3 * MIB + 5);
    std::vector<oss::Progress> seen;
    const auto watch = [&seen](const oss::Progress &progress) { seen.push_back(progress); };
    client.upload_file_with_callback(BUCKET, "told", file.path, echo(), parts_of(MIB, 2), watch);
    REQUIRE(seen.size() >= 2);
    for (std::size_t i = 1; i < seen.size(); i++) {
        CHECK(seen[i].bytes_done >= seen[i - 1].bytes_done && seen[i].bytes_total == 3 * MIB + 5);
    }
    CHECK(seen.back().bytes_done == 3 * MIB + 5);
    CHECK(seen.back().parts_done == 4 && seen.back().parts_total == 4);

    seen.clear();
    const auto stream = oss::Source::function(reading(3 * MIB));
    client.upload_file_with_callback(BUCKET, "told", stream, echo(), parts_of(MIB, 2), watch);
    REQUIRE(!seen.empty());
    CHECK(!seen.back().bytes_total.has_value() && seen.back().bytes_done == 3 * MIB);

    // Its own exception, whatever it is, once the parts are let go.
    const auto key = File::fresh("told");
    thrown<TapeTore>([&] {
        client.upload_file_with_callback(BUCKET, key, file.path, echo(), parts_of(MIB, 1),
                                         [](const oss::Progress &progress) {
                                             if (progress.parts_done >= 1) {
                                                 throw TapeTore("no more");
                                             }
                                         });
    });
    CHECK(callbacks_with(key.c_str()) == 0);
}

static void cancelled_upload_resumes_from_its_checkpoint() {
    const oss::Client client(options());
    const File file(3 * MIB);
    const fs::path checkpoint = file.path.string() + ".checkpoint";
    const auto key = File::fresh("resumed");
    auto from = parts_of(MIB / 4, 1);
    from.checkpoint = checkpoint.string();
    const oss::Cancel cancel;
    thrown<oss::CancelledError>([&] {
        client.upload_file_with_callback(
            BUCKET, key, file.path, echo(), from,
            [&](const oss::Progress &progress) {
                if (progress.parts_done >= 2) {
                    cancel.cancel();
                }
            },
            &cancel);
    });
    CHECK(fs::exists(checkpoint));
    std::optional<oss::Progress> first;
    const auto reply = client.upload_file_with_callback(BUCKET, key, file.path, echo(), from,
                                                        [&](const oss::Progress &progress) {
                                                            first = first ? first : progress;
                                                        });
    CHECK(first && first->bytes_done >= MIB / 2);
    CHECK(!fs::exists(checkpoint));
    const auto whole = client.put_object_with_callback(BUCKET, key, file.path, echo());
    CHECK(reply.crc64().has_value() && reply.crc64() == whole.crc64());

    std::ofstream(checkpoint) << "{\"version\":";
    const auto error = thrown<oss::InvalidArgumentError>(
        [&] { client.upload_file_with_callback(BUCKET, key, file.path, echo(), from); });
    CHECK(error != nullptr && std::strstr(error->what(), checkpoint.string().c_str()) != nullptr);
    fs::remove(checkpoint);
}

static void cancelled_upload_leaves_no_parts() {
    const oss::Client client(options());
    const auto key = File::fresh("left");
    const oss::Cancel cancel;
    thrown<oss::CancelledError>([&] {
        client.upload_file_with_callback(
            BUCKET, key, oss::Source::function(reading(3 * MIB), 3 * MIB), echo(), parts_of(MIB / 4, 2),
            [&](const oss::Progress &progress) {
                if (progress.parts_done >= 2) {
                    cancel.cancel();
                }
            },
            &cancel);
    });
    char *const left = fetched(testbed("CONTROL_URL").c_str(), "/uploads?bucket=examplebucket");
    CHECK(*left == '[' && std::strstr(left, key.c_str()) == nullptr);
    std::free(left);
}

static void busy_service_is_retried() {
    const auto callback = callback_to("/ok");
    put(client_of("FAULTY_ENDPOINT"), File::fresh("busy/2/cpp"), callback);
    auto from = options();
    from.endpoint = testbed("FAULTY_ENDPOINT");
    from.retries = 0;
    const oss::Client impatient(from);
    const auto error = thrown<oss::ServiceError>([&] { put(impatient, File::fresh("busy/2/cpp"), callback); });
    CHECK(error != nullptr && error->status() == 503 && error->is_retryable());
}

static void lost_answer_is_outcome_unknown() {
    const auto client = client_of("FAULTY_ENDPOINT");
    const auto error =
        thrown<oss::OutcomeUnknownError>([&] { put(client, File::fresh("lost/cpp"), callback_to("/ok")); });
    CHECK(error != nullptr && error->stored() && !error->etag().empty());
}

static void credentials_function_is_asked() {
    const auto callback = callback_to("/ok");
    auto from = options();
    const oss::Credentials good{*from.access_key_id, *from.access_key_secret, {}, {}};
    from.access_key_id.reset();
    from.access_key_secret.reset();
    auto asked = std::make_shared<std::atomic<int>>(0);
    {
        const oss::Client client(from, [&good, asked] {
            ++*asked;
            return good;
        });
        CHECK(*asked == 0);
        put(client, "vault.txt", callback);
        put(client, "vault.txt", callback);
        CHECK(*asked == 1);
    }
    *asked = 0;
    {
        const oss::Client client(from, [&good, asked] {
            auto out = good;
            if (++*asked == 1) {
                out.expires_at = std::chrono::system_clock::now() + 4s;
            }
            return out;
        });
        for (int i = 0; i < 200 && *asked < 2; i++) {
            put(client, "vault.txt", callback);
            std::this_thread::sleep_for(50ms);
        }
        CHECK(*asked == 2);
    }
    const oss::Client sealed(from, []() -> oss::Credentials { throw TapeTore("the vault is sealed"); });
    const auto cause = cause_thrown<oss::CredentialsError>([&] { put(sealed, "vault.txt", callback); });
    SAME(cause, "tape: the vault is sealed");
    const auto error = thrown<oss::CredentialsError>([&] { put(sealed, "vault.txt", callback); });
    CHECK(error != nullptr && std::strstr(error->what(), "the vault is sealed") != nullptr);
    const oss::Client odd(from, [] { return oss::Credentials{"id", "s3cret\n", {}, {}}; });
    const auto refused = thrown<oss::CredentialsError>([&] { put(odd, "vault.txt", callback); });
    CHECK(refused != nullptr && std::strstr(refused->what(), "s3cret") == nullptr);
}

/// What a program's function holds is let go with the call that used it.
static void functions_are_destroyed() {
    const auto before = osscb_live_handles();
    const auto held = std::make_shared<int>(7);
    {
        const oss::Client client(options());
        auto source = oss::Source::function([held, read = reading(1000)](std::uint8_t *buffer,
                                                                         std::size_t capacity) {
            return read(buffer, capacity);
        });
        client.put_object_with_callback(BUCKET, "a", source, echo());
        const auto moved = std::move(source);
        const auto unread = oss::Source::function([held](std::uint8_t *, std::size_t) { return std::size_t{0}; });
        CHECK(held.use_count() == 3);
    }
    CHECK(held.use_count() == 1);
    CHECK(osscb_live_handles() == before);
}

const test sources[] = {
    SCENARIO_ROW(sources_of_every_kind_arrive_whole),
    SCENARIO_ROW(broken_source_is_a_source_error),
    SCENARIO_ROW(large_file_goes_in_parts_with_one_callback),
    SCENARIO_ROW(progress_is_told),
    SCENARIO_ROW(cancelled_upload_resumes_from_its_checkpoint),
    SCENARIO_ROW(cancelled_upload_leaves_no_parts),
    SCENARIO_ROW(busy_service_is_retried),
    SCENARIO_ROW(lost_answer_is_outcome_unknown),
    SCENARIO_ROW(credentials_function_is_asked),
    SCENARIO_ROW(functions_are_destroyed),
};

int main(int argc, char **argv) { return test_main(argc, argv, sources, sizeof sources / sizeof *sources); }
