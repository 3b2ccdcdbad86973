// tests/vectors through the C++ face.

#include "support.hpp"

#include <algorithm>
#include <cstring>

static Json family(const std::string &name) {
    const auto path = testbed("OSS_CALLBACK_VECTORS") + "/" + name + ".json";
    return Json(json_read_file(path.c_str()), &json_free);
}

static const json *member(const json *value, const char *name) { return json_get(value, name); }

static std::string text(const json *value, const char *name) {
    const char *found = json_text(value, name);
    return found == nullptr ? "" : found;
}

static std::optional<std::string> maybe(const json *value, const char *name) {
    const char *found = json_text(value, name);
    return found == nullptr ? std::nullopt : std::optional<std::string>(found);
}

static bool is_hard(const json *vector) {
    return text(vector, "status") != "disputed" && text(vector, "case").rfind("rep-", 0) != 0 &&
           text(member(vector, "credentials"), "signing_key_hex").empty();
}

static oss::Signer signer_of(const json *vector, bool v4) {
    const auto *credentials = member(vector, "credentials");
    oss::SignerOptions options;
    options.version = v4 ? oss::SignatureVersion::V4 : oss::SignatureVersion::V1;
    options.security_token = maybe(credentials, "security_token");
    if (v4) {
        options.region = maybe(vector, "region");
        options.product = maybe(vector, "product");
    }
    return oss::Signer(text(credentials, "access_key_id"), text(credentials, "access_key_secret"), options);
}

static oss::Signer::Time time_of(const json *vector) {
    return oss::Signer::Time(std::chrono::seconds(std::stoll(member(member(vector, "time"), "unix")->text)));
}

static oss::SignRequest request_of(const json *vector) {
    const auto *given = member(vector, "request");
    const auto *query = member(given, "query");
    const auto *headers = member(given, "headers");
    const auto *additional = member(given, "additional_headers");
    oss::SignRequest out;
    out.method = text(given, "method");
    out.bucket = maybe(given, "bucket");
    out.key = maybe(given, "key");
    for (std::size_t i = 0; i < query->count; i++) {
        const auto *pair = query->values[i].values;
        out.query.emplace_back(pair[0].text,
                               pair[1].type == JSON_TEXT ? std::optional<std::string>(pair[1].text) : std::nullopt);
    }
    for (std::size_t i = 0; i < headers->count; i++) {
        out.headers.emplace_back(headers->values[i].values[0].text, headers->values[i].values[1].text);
    }
    for (std::size_t i = 0; i < additional->count; i++) {
        out.additional_headers.emplace_back(additional->values[i].text);
    }
    return out;
}

template <typename Signed>
static void same_stages(const json *vector, const Signed &ours) {
    const auto *expected = member(vector, "expected");
    bool same = SAME(ours.string_to_sign, text(expected, "string_to_sign"));
    same = SAME(ours.signature, text(expected, "signature")) && same;
    if (const auto canonical = maybe(expected, "canonical_request")) {
        same = SAME(ours.canonical_request.value_or(""), *canonical) && same;
    }
    if (!same) {
        test_fail("  in %s", text(vector, "id").c_str());
    }
}

static oss::PresignOptions place_of(const json *vector) {
    const auto *given = member(vector, "request");
    const auto addressing = text(given, "addressing");
    oss::PresignOptions out;
    out.endpoint = text(given, "scheme") + "://" + text(given, "endpoint");
    out.addressing = addressing == "path"    ? oss::Addressing::Path
                     : addressing == "cname" ? oss::Addressing::Cname
                                             : oss::Addressing::Virtual;
    out.expires_in = std::chrono::seconds(std::stoll(member(vector, "expires_seconds")->text));
    return out;
}

static void check_signing(const char *name, bool v4, bool url, std::size_t wanted) {
    const auto file = family(name);
    const auto *vectors = member(file.get(), "vectors");
    std::size_t hard = 0;
    REQUIRE(vectors != nullptr);
    for (std::size_t i = 0; i < vectors->count; i++) {
        const auto *vector = &vectors->values[i];
        if (!is_hard(vector)) {
            continue;
        }
        hard++;
        const auto signer = signer_of(vector, v4);
        const auto request = request_of(vector);
        if (url) {
            const auto ours = signer.presign(request, place_of(vector), time_of(vector));
            same_stages(vector, ours);
            SAME(ours.method, request.method);
            CHECK(ours.url.find("://") != std::string::npos);
        } else {
            const auto ours = signer.sign(request, time_of(vector));
            same_stages(vector, ours);
            SAME(ours.headers.back().first, "Authorization");
            CHECK(ours.headers.size() == member(member(vector, "expected"), "signer_added_headers")->count + 1);
        }
    }
    CHECK(hard == wanted);
}

static void signing_vectors_pass() {
    check_signing("v1_header", false, false, 123);
    check_signing("v4_header", true, false, 75);
    check_signing("v1_presign", false, true, 42);
    check_signing("v4_presign", true, true, 41);
    const auto file = family("post_policy");
    const auto *vectors = member(file.get(), "vectors");
    REQUIRE(vectors != nullptr && vectors->count == 22);
    for (std::size_t i = 0; i < vectors->count; i++) {
        const auto *vector = &vectors->values[i];
        const auto *expected = member(member(vector, "expected"), "form_fields");
        const auto signer = signer_of(vector, text(vector, "signature_version") == "v4");
        const auto fields = signer.sign_policy(text(vector, "policy_text"), time_of(vector));
        CHECK(fields.size() == expected->count);
        for (std::size_t j = 0; j < expected->count; j++) {
            const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto &field) {
                return field.first == expected->names[j];
            });
            SAME(found == fields.end() ? "" : found->second, expected->values[j].text);
        }
    }
}

/// A callback's members as options; `nullopt` where C++'s types exclude them.
static std::optional<std::pair<std::string, oss::CallbackOptions>> options_of(const json *callback, const json *vars) {
    std::string url;
    oss::CallbackOptions out;
    if (callback == nullptr || callback->type != JSON_OBJECT) {
        return std::nullopt;
    }
    if (member(callback, "callbackPolicy") == nullptr) {
        out.sni = false;
    }
    for (std::size_t i = 0; i < callback->count; i++) {
        const std::string_view name = callback->names[i];
        const auto *value = &callback->values[i];
        if (name == "callbackSNI" && value->type == JSON_BOOL) {
            out.sni = value->boolean;
        } else if (name == "additionalHeaders" && value->type == JSON_OBJECT) {
            for (std::size_t j = 0; j < value->count; j++) {
                out.headers.emplace_back(value->names[j], value->values[j].text);
            }
        } else if (name == "customValue" || value->type == JSON_NULL) {
            continue;
        } else if (value->type != JSON_TEXT) {
            return std::nullopt;
        } else if (name == "callbackUrl" || name == "url") {
            url = value->text;
        } else if (name == "callbackBody" || name == "body") {
            out.body = value->text;
        } else if (name == "callbackHost" || name == "host") {
            out.host = value->text;
        } else if (name == "callbackPolicy") {
            out.policy = value->text;
        } else if (std::strcmp(value->text, "application/json") == 0) {
            out.body_type = oss::BodyType::Json;
        } else if (std::strcmp(value->text, "application/x-www-form-urlencoded") == 0) {
            out.body_type = oss::BodyType::Form;
        } else {
            return std::nullopt;
        }
    }
    for (std::size_t i = 0; vars != nullptr && i < vars->count; i++) {
        const auto *value = &vars->values[i];
        if (value->type == JSON_OBJECT || value->type == JSON_LIST) {
            return std::nullopt;
        }
        const char *boolean = value->boolean ? "true" : "false";
        out.vars.emplace_back(vars->names[i], value->type == JSON_BOOL ? boolean : value->text);
    }
    return std::make_pair(url, out);
}

static void check_validity(const json *vector, int &accepted, int &refused) {
    const auto id = text(vector, "id");
    const auto *expected = member(vector, "expected");
    const auto callback = parsed(text(vector, "callback_json_text"));
    const auto vars_text = maybe(vector, "callback_var_json_text");
    const auto vars = parsed(vars_text.value_or("{}"));
    const auto given = vars == nullptr ? std::nullopt : options_of(callback.get(), vars.get());
    // Only a running OSS can tell, and an emulator on loopback must be reachable.
    if (!given || id == "url-localhost" || id == "url-private") {
        return;
    }
    if (member(expected, "valid")->boolean) {
        accepted++;
        oss::Callback(given->first, given->second);
    } else {
        refused++;
        const auto error = thrown<oss::InvalidArgumentError>([&] { oss::Callback(given->first, given->second); });
        SAME(error ? error->ec() : id, text(expected, "ec"));
    }
}

static void check_encoding(const json *vector) {
    const auto *input = member(vector, "sdk_input");
    const auto *expected = member(vector, "expected");
    const auto *callback = member(input, "callback");
    const auto *vars = member(input, callback == nullptr ? "customValue" : "callback_var");
    const auto given = options_of(callback == nullptr ? input : callback, vars);
    REQUIRE(given.has_value());
    const oss::Callback built(given->first, given->second);
    const auto ours = parsed(built.json());
    const auto *theirs = member(expected, "callback_json");
    for (std::size_t i = 0; i < theirs->count; i++) {
        // `callbackSNI: false` is OSS's default, and we leave it out.
        const bool left_out = std::strcmp(theirs->names[i], "callbackSNI") == 0 && !theirs->values[i].boolean;
        CHECK(left_out || json_equal(json_get(ours.get(), theirs->names[i]), &theirs->values[i]));
    }
    const auto *their_vars = member(expected, "callback_var_json");
    if (their_vars == nullptr || their_vars->type == JSON_NULL) {
        CHECK(!built.vars_json());
    } else {
        CHECK(json_equal(parsed(built.vars_json().value_or("")).get(), their_vars));
    }
}

static void callback_vectors_pass() {
    const auto validity = family("callback_validity");
    const auto *vectors = member(validity.get(), "vectors");
    int accepted = 0;
    int refused = 0;
    REQUIRE(vectors != nullptr);
    for (std::size_t i = 0; i < vectors->count; i++) {
        check_validity(&vectors->values[i], accepted, refused);
    }
    CHECK(accepted == 6 && refused == 6);
    const auto encoding = family("callback_encoding");
    vectors = member(encoding.get(), "vectors");
    REQUIRE(vectors != nullptr);
    // Where an SDK's way is not ours: tests/rust/tests/all/callback_vectors.rs says what we do instead.
    const std::string quirks = "ali-oss-url-space ali-oss-url-unicode ali-oss-url-already-encoded "
                               "ali-oss-url-reserved ali-oss-var-prefixed-key";
    int encoded = 0;
    for (std::size_t i = 0; i < vectors->count; i++) {
        if (quirks.find(text(&vectors->values[i], "id")) == std::string::npos) {
            encoded++;
            check_encoding(&vectors->values[i]);
        }
    }
    CHECK(encoded == 15);
}

const test vector_tests[] = {
    SCENARIO_ROW(signing_vectors_pass),
    SCENARIO_ROW(callback_vectors_pass),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, vector_tests, sizeof vector_tests / sizeof *vector_tests);
}
