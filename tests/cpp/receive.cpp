// The receiving side in C++ beyond the signature: the seal, the question to OSS, and the answer.

#include "received.hpp"

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>

static const std::string SECRET = "Zm9yIHRlc3RzIG9ubHksIDMyIGJ5dGVz";
static const std::string OTHER_SECRET = "another secret of more than 16 bytes";
static oss::CallbackOptions sealing() {
    oss::CallbackOptions out;
    out.vars = {{"order", "42"}};
    out.seal = oss::Sealing{SECRET, 1h};
    return out;
}

static oss::VerifierOptions demanding(std::vector<std::string> secrets) {
    auto out = trusting();
    out.seal_secret = std::move(secrets);
    return out;
}

static void seal_is_demanded_and_used_once() {
    const auto callback = callback_to("/echo", sealing());
    CHECK(callback.is_to_be_sealed());
    const auto request = receive("sealed.txt", callback);
    auto from = demanding({OTHER_SECRET, SECRET});
    std::set<std::string> used;
    from.first_use = [&used](const std::string &nonce, std::chrono::system_clock::time_point expires_at) {
        CHECK(expires_at > std::chrono::system_clock::now());
        return used.insert(nonce).second;
    };
    const oss::CallbackVerifier once(from);
    const auto event = request.verify(once);
    const auto seal = event.seal();
    CHECK(seal && used.count(seal->nonce) == 1);
    CHECK((event.variables() == oss::Pairs{{"order", "42"}}));
    refused(once, request, oss::reason::replayed);
    request.verify(oss::CallbackVerifier(demanding({SECRET, OTHER_SECRET})));
    const oss::CallbackVerifier strict(demanding({SECRET}));
    refused(strict, receive("sealed.txt", callback_to("/echo")), oss::reason::seal_missing);
    refused(oss::CallbackVerifier(demanding({OTHER_SECRET})), request, oss::reason::seal_wrong);
    const auto expiry = seal ? seal->expires_at : std::chrono::system_clock::time_point();
    request.verify(strict, expiry - 1s);
    const auto late = thrown<oss::VerificationError>([&] { request.verify(strict, expiry); });
    SAME(late ? late->reason() : "", oss::reason::seal_expired);

    // What the function throws comes out as it is, and the verifier works on.
    from.first_use = [](const std::string &, auto) -> bool { throw std::out_of_range("no such table"); };
    const oss::CallbackVerifier broken(from);
    try {
        request.verify(broken);
        test_fail("nothing was thrown");
    } catch (const std::out_of_range &error) {
        SAME(error.what(), "no such table");
    }
    refused(broken, receive("sealed.txt", callback_to("/echo")), oss::reason::seal_missing);

    // Sealed beforehand, as for a presigned URL, it belongs to that key alone.
    const auto then = std::chrono::system_clock::time_point(1000s);
    const auto for_one = callback.sealed_for(BUCKET, "one.txt", then);
    CHECK(!for_one.is_to_be_sealed());
    CHECK(for_one.vars_json().value_or("").find("\"x:seal\":\"1.4600.") != std::string::npos);
    receive("one.txt", for_one).verify(strict, then + 1s);
    thrown<oss::InvalidArgumentError>([&] { callback.sealed_for("", "one.txt"); });
}

static void confirm_asks_oss() {
    const oss::Client client(options());
    const auto event = receive("confirmed.txt", callback_to("/echo")).verify(oss::CallbackVerifier(trusting()));
    const auto found = client.confirm(event);
    SAME(found.etag.value_or(""), "25F9E794323B453885F5181F1B624D0B");
    CHECK(found.size == 9u && found.crc64 == std::uint64_t{11051210869376104954u});
    SAME(found.content_type.value_or(""), "text/plain");
    CHECK(found.last_modified && *found.last_modified > std::chrono::system_clock::now() - 1h);
    CHECK(found.request_id && !found.version_id);
    const oss::Cancel cancel;
    cancel.cancel();
    thrown<oss::CancelledError>([&] { client.confirm(event, &cancel); });
    put(client, "confirmed.txt", callback_to("/ok"));
    auto error = thrown<oss::VerificationError>([&] { client.confirm(event); });
    SAME(error ? error->reason() : "", oss::reason::object_differs);
    const auto nowhere = oss::CallbackEvent::parse("bucket=examplebucket&object=nowhere&size=9", oss::BodyType::Form);
    error = thrown<oss::VerificationError>([&] { client.confirm(nowhere); });
    SAME(error ? error->reason() : "", oss::reason::object_missing);
}

static void not_answered(std::string_view json, const char *ec) {
    const auto error = thrown<oss::InvalidArgumentError>([&] { oss::Answer::reply(json); });
    SAME(error ? error->ec() : "-", ec);
}

static void answer_is_checked_before_it_is_sent() {
    const auto answer = oss::Answer::reply("{\"Status\":\"OK\"}");
    CHECK(answer.status == 200);
    CHECK((answer.headers == oss::Pairs{{"Content-Type", "application/json"}, {"Content-Length", "15"}}));
    SAME(answer.body, "{\"Status\":\"OK\"}");
    const auto refusal = oss::Answer::refusal();
    CHECK(refusal.status == 403 && !refusal.body.empty());
    CHECK(oss::Answer::failure().status == 500);
    not_answered("", "");
    not_answered("thank you", "0007-00000205");
    not_answered("\xef\xbb\xbf{}", "0007-00000205");
    not_answered(std::string(1024 * 1024 + 1, '1'), "0007-00000204");
}

static void one_verifier_serves_many_threads() {
    const auto request = receive("many.txt", callback_to("/echo", sealing()));
    std::atomic<int> asked{0};
    auto from = demanding({SECRET});
    // Half of the calls throw: each thread gets its own exception and no other's.
    from.first_use = [&asked](const std::string &, auto) -> bool {
        const int number = asked++;
        return number % 2 == 0 ? true : throw std::out_of_range("odd");
    };
    const oss::CallbackVerifier verifier(from);
    std::atomic<int> good{0};
    std::atomic<int> odd{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&] {
            for (int round = 0; round < 25; round++) {
                try {
                    request.verify(verifier);
                    good++;
                } catch (const std::out_of_range &) {
                    odd++;
                }
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    CHECK(good == 100 && odd == 100);
}

static void handles_are_freed() {
    const auto before = osscb_live_handles();
    {
        const auto request = receive("freed.txt", callback_to("/echo"));
        oss::CallbackVerifier verifier(trusting());
        auto moved = std::move(verifier);
        auto event = request.verify(moved);
        event = request.verify(moved);
        oss::Answer::reply("{}");
        refused(moved, request.with("authorization", "!"), oss::reason::bad_authorization);
        // A moved-from verifier is an error and not a crash.
        thrown<oss::InvalidArgumentError>([&] { request.verify(verifier); });
        CHECK(osscb_live_handles() == before + 2);
    }
    CHECK(osscb_live_handles() == before);
}

const test receive_tests[] = {
    SCENARIO_ROW(seal_is_demanded_and_used_once),
    SCENARIO_ROW(confirm_asks_oss),
    SCENARIO_ROW(answer_is_checked_before_it_is_sent),
    SCENARIO_ROW(one_verifier_serves_many_threads),
    SCENARIO_ROW(handles_are_freed),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, receive_tests, sizeof receive_tests / sizeof *receive_tests);
}
