// The receiving side in C++: what the application server at /echo got, verified and understood.

#include "received.hpp"

#include <map>
#include <stdexcept>

static const std::string OFFICIAL_URL = "https://gosspublic.alicdn.com/callback_pub_key_v1.pem";
static const std::string OFFICIAL_URL_HEADER =
    "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ==";
static const std::string EVIL_URL_HEADER = "aHR0cDovL2V2aWwuZXhhbXBsZS9rLnBlbQ==";

static void received_callback_is_verified() {
    oss::CallbackOptions from;
    from.body = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&crc64=${crc64}&mimeType=${mimeType}"
                "&reqId=${reqId}&operation=${operation}&clientIp=${clientIp}&vpcId=${vpcId}"
                "&imageInfo.width=${imageInfo.width}&order=${x:order}";
    from.vars = {{"order", "n° 42 & more"}};
    const auto request = receive("dir/ü 1.txt", callback_to("/echo?a=1", from));
    const oss::CallbackVerifier verifier(trusting());
    const auto event = request.verify(verifier);
    SAME(event.bucket().value_or("-"), BUCKET);
    SAME(event.key().value_or("-"), "dir/ü 1.txt");
    SAME(event.etag().value_or("-"), "25F9E794323B453885F5181F1B624D0B");
    CHECK(event.size().kind == oss::Number::Kind::Value && event.size().value == 9u);
    CHECK(event.crc64().value == std::uint64_t{11051210869376104954u});
    SAME(event.mime_type().value_or("-"), "text/plain");
    CHECK(event.request_id().value_or("").size() == 24);
    SAME(event.operation().value_or("-"), "PutObject");
    SAME(event.client_ip().value_or("-"), "127.0.0.1");
    SAME(event.vpc_id().value_or("-"), "");
    CHECK(!event.content_md5() && !event.image().format);
    CHECK(event.image().width.kind == oss::Number::Kind::Empty && !event.image().width.value);
    CHECK(event.image().height.kind == oss::Number::Kind::Absent);
    SAME(event.variable("order").value_or("-"), "n° 42 & more");
    SAME(event.variable("x:order").value_or("-"), "n° 42 & more");
    CHECK(!event.variable("other") && !event.seal());
    CHECK((event.variables() == oss::Pairs{{"order", "n° 42 & more"}}));
    CHECK(event.fields().size() == 12);
    SAME(event.fields().at(1).name, "object");
    SAME(event.fields().at(1).text, "dir/ü 1.txt");
    CHECK(event.fields().at(1).kind == oss::FieldKind::Text);
    verifier.verify_signature(request.method, request.target, request.headers, request.body);

    // Any range of pairs of texts will do for the headers.
    const std::multimap<std::string, std::string> map(request.headers.begin(), request.headers.end());
    CHECK(verifier.verify(request.method, request.target, map, request.body).key() == event.key());

    const auto odd = oss::CallbackEvent::parse("size=nine&bucket=", oss::BodyType::Form);
    CHECK(odd.size().kind == oss::Number::Kind::Invalid && odd.size().text == "nine" && !odd.size().value);
    CHECK(odd.bucket() == "" && !odd.key());
}

static void altered_callback_is_refused_with_a_reason() {
    const auto right = receive("altered.txt", callback_to("/echo?a=1"));
    const oss::CallbackVerifier verifier(trusting());
    auto request = right;
    request.body.pop_back();
    const auto message = refused(verifier, request, oss::reason::wrong_signature);
    CHECK(message.find("object=") == std::string::npos);
    for (const auto &header : right.headers) {
        CHECK(header.second.size() < 80 || message.find(header.second) == std::string::npos);
    }
    request = right;
    request.target = "/echo";
    refused(verifier, request, oss::reason::wrong_signature);
    request = right;
    request.method = "GET";
    refused(verifier, request, oss::reason::wrong_method);
    refused(verifier, right.with("authorization", std::nullopt), oss::reason::missing_authorization);
    refused(verifier, right.with("authorization", "!"), oss::reason::bad_authorization);
    refused(oss::CallbackVerifier(), right.with("x-oss-pub-key-url", EVIL_URL_HEADER), oss::reason::key_url_refused);
    auto strict = trusting();
    strict.max_body = 20;
    strict.body_timeout = std::chrono::milliseconds(1500);
    CHECK(verifier.max_body() == 1024 * 1024 && oss::CallbackVerifier(strict).max_body() == 20);
    CHECK(verifier.body_timeout() == std::chrono::seconds(5));
    CHECK(oss::CallbackVerifier(strict).body_timeout() == *strict.body_timeout);
    refused(oss::CallbackVerifier(strict), right, oss::reason::body_too_large);
    strict = trusting();
    strict.bucket = {"photos", "videos"};
    refused(oss::CallbackVerifier(strict), right, oss::reason::wrong_bucket);
    const auto error = thrown<oss::VerificationError>([&] {
        verifier.verify_signature(right.method, "/other", right.headers, right.body);
    });
    CHECK(error && error->kind() == oss::ErrorKind::Verification && !error->hint().empty());
    strict = trusting();
    strict.template_ = "a=${nonsense}";
    const auto wrong = thrown<oss::InvalidArgumentError>([&] { oss::CallbackVerifier refuses(strict); });
    SAME(wrong ? wrong->field() : "", "template");
}

static void key_function_replaces_the_fetching_never_the_rule() {
    const auto request = receive("keys.txt", callback_to("/echo"));
    const auto official = request.with("x-oss-pub-key-url", OFFICIAL_URL_HEADER);
    const auto asked = std::make_shared<std::vector<std::string>>();
    oss::VerifierOptions from;
    from.fetch_key = [asked](const std::string &url) {
        asked->push_back(url);
        return emulator_key();
    };
    {
        const oss::CallbackVerifier verifier(from);
        refused(verifier, request.with("x-oss-pub-key-url", EVIL_URL_HEADER), oss::reason::key_url_refused);
        CHECK(asked->empty());
        official.verify(verifier);
        official.verify(verifier);
        CHECK((*asked == std::vector<std::string>{OFFICIAL_URL}));
        from.fetch_key = nullptr;
        CHECK(asked.use_count() == 2);
    }
    // The verifier's copy of the function is gone with it.
    CHECK(asked.use_count() == 1);
    from.fetch_key = [](const std::string &) -> std::string { throw std::runtime_error("the key store is closed"); };
    const oss::CallbackVerifier closed(from);
    try {
        official.verify(closed);
        test_fail("nothing was thrown");
    } catch (const oss::VerificationError &error) {
        SAME(error.reason(), oss::reason::key_unavailable);
        CHECK(std::string(error.what()).find("the key store is closed") != std::string::npos);
        const auto cause = thrown<std::runtime_error>([&] { std::rethrow_if_nested(error); });
        SAME(cause ? cause->what() : "", "the key store is closed");
    }
    // Remembered for a while: asked no more, and so nothing is nested.
    const auto again = thrown<oss::VerificationError>([&] { official.verify(closed); });
    CHECK(again && dynamic_cast<const std::nested_exception *>(again.get()) == nullptr);
    from.fetch_key = [](const std::string &) -> std::string { throw 5; };
    const auto message = refused(oss::CallbackVerifier(from), official, oss::reason::key_unavailable);
    CHECK(message.find("an exception that tells nothing") != std::string::npos);
}

static void a_template_may_come_of_a_callback() {
    oss::CallbackOptions from;
    from.body = "{\"what\":{\"key\":${object},\"bytes\":${size}},\"who\":${x:user}}";
    from.body_type = oss::BodyType::Json;
    from.vars = {{"user", "me"}};
    const auto callback = callback_to("/echo", from);
    auto reading = trusting();
    reading.callback = &callback;
    const auto event = receive("template.txt", callback).verify(oss::CallbackVerifier(reading));
    SAME(event.key().value_or("-"), "template.txt");
    SAME(event.variable("user").value_or("-"), "me");
    CHECK(event.size().value == 9u && event.fields().at(1).kind == oss::FieldKind::Number);
}

static void hostile_callbacks_are_refused_without_harm() {
    const oss::CallbackVerifier verifier(trusting());
    const auto right = receive("hostile.txt", callback_to("/echo"));
    const std::string rubbish[] = {"", "\xff\xfe\x80", std::string("/\0/", 3), "/%zz?%", "http://", "x:\r\n=&"};
    const auto survives = [&](const Received &request) {
        try {
            request.verify(verifier);
        } catch (const oss::VerificationError &) {
        }
    };
    const auto understood_or_not = [](const std::string &body) {
        for (const auto type : {oss::BodyType::Form, oss::BodyType::Json}) {
            try {
                oss::CallbackEvent::parse(body, type).fields();
            } catch (const oss::VerificationError &) {
            }
        }
    };
    for (const auto &text : rubbish) {
        auto request = right;
        request.target = text;
        survives(request);
        request = right;
        request.method = text;
        request.headers.emplace_back(text, text);
        survives(request);
        request = right.with("authorization", text);
        request.body = text;
        survives(request);
        understood_or_not(text);
    }
    std::string many;
    for (int i = 0; i < 1000 * 1000; i++) {
        many += "a=1&";
    }
    understood_or_not(many);
    understood_or_not(std::string(4 << 20, '['));
    understood_or_not(std::string(4 << 20, '\0'));
    const auto event = oss::CallbackEvent::parse("bucket=photos%00evil", oss::BodyType::Form);
    CHECK(event.bucket() == std::string("photos\0evil", 11));
}

static std::string decoded(const char *base64) {
    static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0;
    int count = 0;
    for (; *base64 != '\0' && *base64 != '='; base64++) {
        bits = (bits << 6 | static_cast<unsigned>(digits.find(*base64))) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 0xff);
        }
    }
    return out;
}

/// What is expected, empty for acceptance. Where OSS's samples contradict each other we refuse what no honest
/// key URL holds.
static std::string_view expected_of(const json *vector) {
    static const std::map<std::string, std::string_view> names = {
        {"ok", ""},
        {"pub-key-url-not-allowed", oss::reason::key_url_refused},
        {"missing-pub-key-url", oss::reason::missing_key_url},
        {"bad-authorization", oss::reason::bad_authorization},
        {"signature-mismatch", oss::reason::wrong_signature}};
    const std::string id = json_text(vector, "id");
    return id == "key-url-dotdot-after-prefix" ? oss::reason::key_url_refused
                                               : names.at(json_text(json_get(vector, "expected"), "reason"));
}

static void check_vector(const json *vector) {
    const auto *given = json_get(vector, "request");
    const auto *keys = json_get(vector, "served_public_keys");
    const auto request = request_in(given, "request_target", decoded(json_text(given, "body_base64")));
    int asked = 0;
    oss::VerifierOptions from;
    from.fetch_key = [&](const std::string &url) -> std::string {
        asked++;
        for (std::size_t i = 0; i < keys->count; i++) {
            // Fetched by https, whatever the request names.
            const std::string named = json_text(&keys->values[i], "url");
            if (url == "https" + named.substr(named.find(':'))) {
                return json_text(&keys->values[i], "pem");
            }
        }
        throw std::runtime_error("404");
    };
    std::string reason;
    try {
        request.verify(oss::CallbackVerifier(from));
    } catch (const oss::VerificationError &error) {
        reason = error.reason();
    }
    bool right = SAME(reason, expected_of(vector));
    right = CHECK(asked == 1 || !reason.empty()) && right;
    right = CHECK(asked == 0 || reason != oss::reason::key_url_refused) && right;
    if (!right) {
        test_fail("  in %s", json_text(vector, "id"));
    }
}

static void verify_vectors_pass() {
    const auto path = testbed("OSS_CALLBACK_VECTORS") + "/callback_verify.json";
    const Json file(json_read_file(path.c_str()), &json_free);
    const auto *vectors = json_get(file.get(), "vectors");
    REQUIRE(vectors != nullptr && vectors->count >= 45);
    for (std::size_t i = 0; i < vectors->count; i++) {
        check_vector(&vectors->values[i]);
    }
}

const test verify_tests[] = {
    SCENARIO_ROW(verify_vectors_pass),
    SCENARIO_ROW(received_callback_is_verified),
    SCENARIO_ROW(altered_callback_is_refused_with_a_reason),
    SCENARIO_ROW(key_function_replaces_the_fetching_never_the_rule),
    SCENARIO_ROW(a_template_may_come_of_a_callback),
    SCENARIO_ROW(hostile_callbacks_are_refused_without_harm),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, verify_tests, sizeof verify_tests / sizeof *verify_tests);
}
