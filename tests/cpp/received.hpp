// Callback requests as they reach an application server, for the tests of the receiving side.
#ifndef RECEIVED_HPP
#define RECEIVED_HPP

#include <fstream>
#include <iterator>

#include "support.hpp"

/// A callback request as it arrived.
struct Received {
    std::string method = "POST";
    std::string target;
    oss::Pairs headers;
    std::string body;

    oss::CallbackEvent verify(const oss::CallbackVerifier &verifier,
                              oss::CallbackVerifier::Time now = std::chrono::system_clock::now()) const {
        return verifier.verify(method, target, headers, body, now);
    }

    /// The same with another value for a header; without one, it is taken away.
    Received with(const std::string &name, const std::optional<std::string> &value) const {
        Received out = *this;
        out.headers.clear();
        for (const auto &header : headers) {
            std::string lower;
            for (const char c : header.first) {
                lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            }
            if (lower != name) {
                out.headers.push_back(header);
            } else if (value) {
                out.headers.emplace_back(header.first, *value);
            }
        }
        CHECK(value ? out.headers.size() == headers.size() : out.headers.size() + 1 == headers.size());
        return out;
    }
};

inline Received request_in(const json *value, const char *target, std::string body) {
    Received out;
    out.method = json_text(value, "method");
    out.target = json_text(value, target);
    out.body = std::move(body);
    const auto *headers = json_get(value, "headers");
    for (std::size_t i = 0; i < headers->count; i++) {
        out.headers.emplace_back(headers->values[i].values[0].text, headers->values[i].values[1].text);
    }
    return out;
}

/// Uploads, and gives what the application server received.
inline Received receive(std::string_view key, const oss::Callback &callback, std::string_view data = "123456789") {
    const oss::Client client(options());
    const auto reply = client.put_object_with_callback(BUCKET, key, data, callback);
    const auto echo = parsed(reply.body());
    return request_in(echo.get(), "target", text_in(echo, "body"));
}

inline std::string emulator_key() {
    std::ifstream file(testbed("OSS_PUBLIC_KEY_FILE"), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

inline oss::VerifierOptions trusting() {
    oss::VerifierOptions out;
    out.trusted_keys = {emulator_key()};
    return out;
}

/// Refused for `reason`; gives the message.
inline std::string refused(const oss::CallbackVerifier &verifier, const Received &request, std::string_view reason) {
    const auto error = thrown<oss::VerificationError>([&] { request.verify(verifier); });
    SAME(error ? error->reason() : "", reason);
    return error ? error->what() : "";
}

#endif
